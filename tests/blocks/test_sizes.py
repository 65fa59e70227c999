"""Tests of epkit.blocks.sizes: guesses give what asking gives; one question is all they cost."""

import pytest
import torch

from epkit.blocks import sizes
from epkit.blocks.sizes import LEAST, Sizes

CPU = torch.device("cpu")


@pytest.fixture
def guessing(monkeypatch):
    monkeypatch.setattr(sizes, "ASKED", ())
    return Sizes(CPU)


def chosen(found):
    index, valid = found
    return index[valid].tolist()


@pytest.mark.parametrize("true", [0, 1, 63, 64, 65, 300])
def test_picked_are_the_true_entries_in_order(guessing, true):
    mask = torch.randperm(400, generator=torch.Generator().manual_seed(true)) < true
    runs = []

    def work():
        runs.append(1)
        return guessing.pick("rows", mask)

    for times in (1, 2):  # asked, then guessed
        index, valid = guessing.settle(work)
        assert index[valid].tolist() == mask.nonzero()[:, 0].tolist()
        assert (index[~valid] == 0).all()
        assert guessing.counted("rows") == true
        assert len(runs) == times


def test_what_a_guess_did_not_hold_is_done_again(guessing):
    few, many = torch.zeros(400, dtype=torch.bool), torch.ones(400, dtype=torch.bool)
    guessing.settle(lambda: guessing.pick("rows", few))
    assert len(guessing.settle(lambda: guessing.pick("rows", few))[0]) == LEAST
    assert chosen(guessing.settle(lambda: guessing.pick("rows", many))) == list(range(400))
    assert len(guessing.settle(lambda: guessing.pick("rows", many[:200]))[0]) == 200


def test_the_largest_of_several_picks_of_a_kind_counts(guessing):
    masks = [torch.arange(400) < n for n in (10, 390, 20)]
    for _ in range(3):
        found = guessing.settle(lambda: [guessing.pick("rows", mask) for mask in masks])
        assert [len(chosen(one)) for one in found] == [10, 390, 20]
        assert guessing.counted("rows") == 390


@pytest.mark.parametrize("lengths", [(3, 3, 4), (2, 50, 50), (0, 1, 0)])
def test_rounds_go_on_until_nothing_is_left(guessing, lengths):
    def work(n):
        left = torch.arange(60) < n
        for _ in guessing.rounds("rounds", left):
            left &= torch.arange(60) < left.sum() - 1
        return left

    for n in lengths:
        assert not guessing.settle(lambda n=n: work(n)).any()
        assert guessing.counted("rounds") == n


def test_what_was_not_counted_is_none(guessing):
    assert guessing.counted("anything") == 0
