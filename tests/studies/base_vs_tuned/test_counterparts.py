"""Introducedness: a constructed new region comes first, an unstable one does not."""

import pytest
import torch
from torch.nn.functional import normalize

from epkit.stats import rank_test
from epkit.studies.base_vs_tuned.counterparts import missing_counterpart


def gaussian(k: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(k, 32, generator=torch.Generator().manual_seed(seed))


def alike(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosines of all pairs of rows."""
    return normalize(a, dim=1) @ normalize(b, dim=1).T


def test_a_region_without_counterpart_ranks_first():
    x = gaussian(30)
    base = x[:29] + 0.1 * gaussian(29, seed=4)
    scores = missing_counterpart([alike(base, x)])
    assert int(scores.argmax()) == 29
    assert rank_test(scores, 29) == (1, 30, pytest.approx(1 / 30))


def test_a_region_that_no_order_finds_again_is_not_new_but_unstable():
    x = gaussian(12)
    to_base = [alike(x[:10], x)]  # 10 and 11 are not in the base
    again = [x[:11], torch.cat([x[:11], gaussian(1, seed=9)])]
    plain = missing_counterpart(to_base)
    assert {int(i) for i in plain.topk(2).indices} == {10, 11}
    corrected = missing_counterpart(to_base, [alike(d, x) for d in again])
    assert int(corrected.argmax()) == 10  # 11 does not recur in the model's own other orders
    assert corrected[11] < corrected[10] - 0.3
    assert torch.allclose(corrected[:10], torch.zeros(10, dtype=torch.float64), atol=1e-6)


def test_a_duplicate_of_an_old_region_has_its_counterpart():
    x = gaussian(5)
    assert missing_counterpart([alike(x, torch.cat([x, x[:1]]))]).abs().max() < 1e-5


def test_missing_counterparts_needs_the_same_regions():
    with pytest.raises(ValueError, match="a column per region"):
        missing_counterpart([torch.zeros(3, 4)], [torch.zeros(3, 5)])
    with pytest.raises(ValueError, match="a column per region"):
        missing_counterpart([])


def test_best_matches_are_averaged_over_dictionaries():
    one, two = torch.tensor([[0.2, 0.9], [0.6, 0.1]]), torch.tensor([[0.4, 0.3]])
    assert missing_counterpart([one, two]).tolist() == pytest.approx([0.5, 0.4])
    again = torch.tensor([[0.8, 0.0], [0.1, 0.5]])
    assert missing_counterpart([one, two], [again]).tolist() == pytest.approx([0.3, -0.1])
