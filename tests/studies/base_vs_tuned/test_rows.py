"""Which activation stands where, and in which half."""

import numpy as np
import pytest
import torch
from conftest import mixture  # noqa: F401  (the folder's conftest needs the one above on the path)
from tiny_models import tiny_llama

from epkit.lm.activations import ActivationStream
from epkit.studies.base_vs_tuned import rows


def test_every_prompt_has_one_final_token_and_every_answer_one_end(what, refused):
    counts = {place: int(what.at(place).sum()) for place in rows.PLACES}
    assert counts[rows.REFUSED] == int(refused.sum())
    assert counts[rows.ANSWERED] == int((~refused).sum())
    assert counts[rows.END] == 12
    assert counts[rows.WEB] == 400
    assert sum(counts.values()) == len(what.tokens)
    final = what.at(rows.REFUSED) | what.at(rows.ANSWERED)
    assert what.tokens[final].tolist() == [5 + i % 4 for i in range(24)]  # the last of each window
    assert what.tokens[what.at(rows.END)].tolist() == [
        6 + i % 3 for i in range(12)
    ]  # two before it


def test_halves_are_whole_documents_and_a_prompt_keeps_its_half_with_its_answer(what):
    for number in what.documents.unique():
        assert len(what.half[what.documents == number].unique()) == 1
    end = what.documents[what.at(rows.END)]
    assert (end - rows.FIRST_PROMPT).tolist() == list(range(12, 24))
    share = what.half.double().mean().item()
    assert 0.4 < share < 0.6


def test_a_prompt_that_was_cut_is_an_error(what, refused):
    from types import SimpleNamespace

    cut = SimpleNamespace(
        documents=torch.tensor([0, 0], dtype=torch.int32), lengths=torch.tensor([4, 4])
    )
    with pytest.raises(ValueError, match="1 prompts gave 2 windows: raise the stream's context"):
        rows.placed_rows(cut, cut, cut, refused, 0)


def test_activations_are_those_of_the_stream(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model, texts = tiny_llama(), ["How do tides work?", "Name a fruit that is not red."]
    x = rows.stream_activations(model, texts, [1, 3])
    (chunk,) = ActivationStream(model, texts, [1, 3]).chunks()
    assert x.n == len(chunk.activations[1])
    assert np.array_equal(x.layer(3), chunk.activations[3])
