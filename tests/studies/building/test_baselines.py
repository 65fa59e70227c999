"""Dictionaries at equal K: the same stream, the same yardstick, and what the sentences say."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture

import epkit
from epkit.controls import DRAWN, EP, equal_kinds
from epkit.partition import stream_order
from epkit.stats import Interval
from epkit.studies.building import baselines
from epkit.studies.building.baselines import COVERAGE, NEARNESS

X, NEW = mixture(600, 12), mixture(120, 12, seed=2)
DOCUMENT = torch.arange(120) // 10


@pytest.fixture(scope="module")
def kinds():
    d = epkit.partition(X, [8], recount=False, device="cpu")[8]
    return equal_kinds(d, X, n_orders=3, n_draws=2, rounds=2, recount=False)


def test_all_kinds_have_the_k_of_the_first_and_its_centre(kinds):
    d = kinds[EP][0]
    assert [len(runs) for runs in kinds.values()] == [3, 1, 1, 1, 2]
    for name, runs in kinds.items():
        assert all(torch.equal(run.centre, d.centre) for run in runs)
        assert name == EP or all(len(run) == len(d) for run in runs)


def test_another_order_is_the_leader_rule_over_permuted_rows(kinds):
    d = kinds[EP][0]
    order = stream_order(len(X), 1)
    part = epkit.LeaderClustering(d.centre, d.threshold, "cpu").partial_fit(X[order])
    assert torch.equal(kinds[EP][1].exemplars, part.dictionary().exemplars)


def test_a_row_by_hand(kinds):
    table = baselines.baseline_table(kinds, NEW, DOCUMENT, kinds[EP][0].threshold)
    within, near = [], []
    for run in kinds[DRAWN]:
        distance = run.assign(NEW)[1]
        within.append((distance <= kinds[EP][0].threshold).float().mean().item())
        near.append(1 - distance.mean().item())
    row = table.loc[(COVERAGE, DRAWN)]
    assert row["value"].value == pytest.approx(np.mean(within))  # documents are of one length
    assert row["spread of runs"] == pytest.approx(np.std(within, ddof=1))
    assert row["against random"] is None
    own = 1 - kinds[EP][0].assign(NEW)[1].mean().item()
    assert table.loc[(NEARNESS, EP), "value"].value == pytest.approx(own, abs=0.1)
    gain = table.loc[(NEARNESS, EP), "against random"]
    value = table.loc[(NEARNESS, EP), "value"].value
    assert gain.value == pytest.approx(value - np.mean(near), abs=1e-6)
    assert table.loc[(NEARNESS, EP), "detectable"] > 0


def test_what_is_recorded_is_the_table(kinds):
    table = baselines.baseline_table(kinds, NEW, DOCUMENT, kinds[EP][0].threshold)
    kept = baselines.criteria_rows(table, "here")
    assert list(kept.columns) == [
        "criterion", "dictionary", "value", "low", "high", "detectable", "setting",
    ]  # fmt: skip
    assert len(kept) == len(table)
    assert (kept.low <= kept.value).all()
    assert set(kept.setting) == {"here"}


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([(0.1, 0.2), (0.1, 0.2)], "EP is above random exemplars at p 4, 8."),
        ([(0.1, 0.2), (-0.2, -0.1)], "above random exemplars at p 4 and below them at p 8."),
        ([(-0.1, 0.1), (-0.1, 0.1)], "EP is not shown to differ from random exemplars."),
    ],
)
def test_the_sentences_follow_the_intervals(gains, said):
    def table(low, high):
        index = pd.MultiIndex.from_product([[COVERAGE, NEARNESS], [EP, DRAWN]])
        rows = [
            {"value": Interval(v, v, v), "against random": g}
            for v, g in [(0.5, Interval((low + high) / 2, low, high)), (0.6, None)] * 2
        ]
        return pd.DataFrame(rows, index=index)

    tables = {p: table(*gain) for p, gain in zip((4, 8), gains, strict=True)}
    for sentence in baselines.baseline_sentences(tables, "layer 3"):
        assert sentence.endswith(said)
        assert "p 4: random exemplars 0.600 > EP 0.500" in sentence


@pytest.mark.slow
def test_far_dictionaries_give_the_same_table(far):
    tables = []
    for device in ("cpu", far):
        d = epkit.partition(X, [8], recount=False, device=device)[8]
        kinds = equal_kinds(d, X, n_orders=2, n_draws=1, rounds=1, recount=False)
        tables.append(baselines.baseline_table(kinds, NEW, DOCUMENT, d.threshold))
    near, there = ([v.value for v in t["value"]] for t in tables)
    assert there == pytest.approx(near, abs=1e-3)
