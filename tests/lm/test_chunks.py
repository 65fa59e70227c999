import torch

from epkit.lm.chunks import means_by_document


def test_means_of_documents_by_hand():
    document = torch.tensor([0, 0, 1, 2, 2, 2])
    flags = torch.tensor([True, False, True, False, False, True])
    assert means_by_document(flags, document).tolist() == [0.5, 1, torch.tensor(1 / 3).item()]
    numbers = torch.tensor([1.0, 3, 5, 0, 6, 0], dtype=torch.float16)
    assert means_by_document(numbers, document).tolist() == [2, 5, 2]
