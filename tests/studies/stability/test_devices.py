"""The stability study where activations and models lie on another device: same tables."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from region_examples import TEXTS
from tiny_models import tiny_llama

import epkit
from epkit.lm.models import wrap_model
from epkit.studies.stability import alternatives, distances, following, remedies, splits
from epkit.studies.stability.recurrence import disjoint_pairs

pytestmark = pytest.mark.slow

X = mixture(100, 8)
FRESH = mixture(60, 8, seed=1)
PAIRS = disjoint_pairs(torch.arange(len(X)) // 10, 2)


def detect(score):
    """A made-up detection: the scores of some activations, off their device at the last step."""
    found = score(FRESH)
    return found.double().amax(1)[:3].cpu().numpy()


def tables(device):
    """All that the study makes of activations on a device."""
    x, fresh = X.to(device), FRESH.to(device)
    runs, controls = splits.runs_of(x, PAIRS, epkit.calibrate(x, [8], device=device))
    assert {d.exemplars.device.type for d in (runs | controls).values()} == {x.device.type}
    compared = splits.comparisons(runs, controls, fresh)
    tried = remedies.try_remedies(x, PAIRS, runs, controls, 8)
    tried |= remedies.at_equal_k(x, PAIRS, tried)
    assert {d.exemplars.device.type for d in tried.values()} == {x.device.type}
    by_cosine = lambda d: detect(partial(epkit.readouts.cosine, d))  # noqa: E731
    measured = remedies.measure_rules(tried, fresh, by_cosine, {})
    ranked = [splits.rankings(runs[8, 0, "A"], runs[8, 0, "B"])]
    cut = splits.cut_table(ranked, [0.5], lambda s, kept: kept[:3] * 1.0, n_draws=1)
    alike = alternatives.compare_alternatives(
        x, PAIRS, fresh, runs[8, 0, "A"].threshold, runs[8, 0, "A"].centre, n_orders=2,
        n_draws=2, rounds=1,
    )  # fmt: skip
    return [
        alike, compared, splits.correlation_table(splits.score_correlations(runs, controls, 8)),
        cut.drop(columns="against random"), remedies.remedy_table(tried, measured),
        remedies.gain_table(measured), other_distances(x, fresh, measured),
    ]  # fmt: skip


def other_distances(x, fresh, measured):
    score = partial(distances.measure_cells, fresh=fresh, detect=on(x.device))
    rows = [distances.centred_row(8, 12, measured)]
    for name, distance in distances.DISTANCES.items():
        first = x[splits.permuted(PAIRS[0][0], 0).to(x.device)]
        level = distances.level_at_k(distance, splits.permuted(x, 1)[:60], first, 12, 8)
        cells = distances.cells_of(distance, x, PAIRS, level.threshold)
        rows.append(distances.distance_row(name, level, cells, score, measured["plain"]))
    return pd.DataFrame(rows).fillna(0)


def on(device):
    """`detect` for scores that take activations on one device alone."""
    return lambda score: detect(lambda y: score(y.to(device)))


def test_the_tables_are_the_same_there(far):
    for here, there in zip(tables(torch.device("cpu")), tables(far), strict=True):
        assert list(here.columns) == list(there.columns)
        for column in here:
            one, two = here[column].tolist(), there[column].tolist()
            if isinstance(one[0], str):
                assert [v[:4] for v in one] == [v[:4] for v in two], column
            else:
                flat = [np.hstack([np.ravel(v) for v in some]) for some in (one, two)]
                np.testing.assert_allclose(*flat, rtol=1e-3, atol=1e-4, err_msg=column)


def test_tokens_are_followed_where_their_model_is(far):
    model = tiny_llama()
    found = []
    for device in ("cpu", far):
        there = wrap_model(model.module.to(device), model.tokenizer, name=model.name)
        layers = list(range(there.n_layers))
        stream = epkit.ActivationStream(there, TEXTS[:4], layers, context=64)
        walk = epkit.build_from(
            stream, [5], 150, n_calibration=100, device=device, checkpoint=False, keep=False,
            show_progress=False,
        )  # fmt: skip
        walk = [walk[i, 5] for i in layers]
        followed = following.follow_tokens(there, stream, walk, 120)
        assert isinstance(followed.regions, np.ndarray)
        found.append((followed, following.final_tokens(there, ["a cat", "the dog sat"], walk)))
    (one, ends), (two, ends_there) = found
    assert (one.regions == two.regions).mean() > 0.99
    assert (one.tokens, one.endings) == (two.tokens, two.endings)
    assert (ends[0] == ends_there[0]).mean() > 0.9
