import torch

from epkit.studies.rare_kinds import found


def test_members_are_counted_by_kind_the_web_last():
    region, kind = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([-1, 0, 1, 1, -1])
    counts = found.member_counts((torch.arange(5), region), kind, 4, 2)
    assert counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 2, 1], [0, 0, 0]]


def test_a_row_may_be_in_several_regions():
    counts = found.member_counts(
        (torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])), torch.tensor([0, -1]), 2, 1
    )
    assert counts.tolist() == [[1, 0], [1, 1]]


def test_a_region_of_a_kind_has_two_members_and_more_than_half_of_the_kind():
    counts = torch.tensor([[2, 0, 1], [1, 0, 0], [2, 0, 2], [0, 5, 4], [1, 1, 0], [0, 0, 9]])
    assert found.regions_of(counts).tolist() == [
        [True, False], [False, False], [False, False], [False, True], [False, False],
        [False, False],
    ]  # fmt: skip


def test_the_share_that_is_held_counts_a_row_once():
    pairs = torch.tensor([0, 0, 1, 3]), torch.tensor([1, 2, 0, 2])
    assert found.held_share(pairs, 4, torch.tensor([False, True, True])) == 0.5
    assert found.held_share(pairs, 4, torch.tensor([False, False, False])) == 0
