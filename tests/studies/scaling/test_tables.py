"""Tests of epkit.studies.scaling's tables, figures and sentences, on small passes."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import mixture

import epkit
from epkit.geometry import directions
from epkit.studies.scaling import plots, tables, verdict, workers
from epkit.studies.scaling.passes import pass_over
from epkit.studies.scaling.seconds import Growth, Rates, project

GPU = Rates(20_000, 60e12, 60e12, 3e9, 1e10, 5e-3, 1e6, 16_256)
WORKERS, TOTALS = [1, 2, 4, 8, 64], [1e6, 1e7]


@pytest.fixture(scope="module")
def x():
    return mixture(4000, 12, spread=0.5)


@pytest.fixture(scope="module")
def made(x):
    calibration = epkit.calibrate(x, [2, 8])
    return {p: pass_over(x, calibration, p, "cpu") for p in (2, 8)}


@pytest.fixture(scope="module")
def projected(made):
    law = Growth.fitted(made[2])
    return tables.projections(law, 4000, 2304, GPU, TOTALS, WORKERS, rounds=6)


def test_misses_fall_with_the_percentile(made):
    table = tables.miss_table(made, 2)
    assert table.K[2] > table.K[8]
    assert table["misses, last tenth"][2] > table["misses, last tenth"][8]
    assert (table["misses, first tenth"] == 1).all()


def test_traffic_grows_with_workers(made):
    moved = tables.traffic_table(made, [1, 8], 2)
    assert moved["new exemplars, B"][8] == 8 * moved["new exemplars, B"][1]
    assert moved["missed, B"][8] == moved["missed, B"][1]
    said = verdict.traffic_sentence(moved)
    assert "bytes an activation move with 1" in said
    few = moved.assign(**{"sums, B": [1e6, 0]})
    assert verdict.traffic_sentence(few).endswith("most of them sums and new exemplars.")


def test_rounds_of_the_epochs_of_a_pass(x, made):
    found = tables.rounds_table(x, epkit.calibrate(x, [2]).centre, made[2], 2, most=500)
    assert (found["misses looked at"] <= 500).all()
    assert found.rounds.between(1, 30).all()
    assert len(directions(x, x.mean(0))) == len(x)


def test_projections_have_their_control(projected):
    assert len(projected) == 2 * 2 * len(WORKERS) * len(TOTALS)
    assert (projected[projected.workers == 1].efficiency == 1).all()
    wide = tables.projected_table(projected, [1, 8])
    assert list(wide.columns) == ["K", 1, 8]
    pays = tables.paying_table(projected)
    assert pays.isin(WORKERS).all(axis=None)


def test_where_it_stops_paying_is_the_first_time_that_it_does():
    rows = [("growing", "one driver", w, 1e6, e) for w, e in ((1, 1), (2, 0.9), (4, 0.4), (8, 0.6))]
    columns = ["case", "design", "workers", "activations", "efficiency"]
    assert tables.pays_until(pd.DataFrame(rows, columns=columns), "growing", "one driver", 1e6) == 2


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0.001, "3.6 s"), (0.1, "6 min"), (3, "3 h"), (100, "4.17 d"), (48_000, "2,000 d")],
)
def test_durations(hours, said):
    assert tables.duration(hours) == said


def test_the_model_of_a_measured_pass(made):
    slow, fast = (Rates(float("inf"), r, r, 1e9, 1e9, 1e-3) for r in (1e8, 1e9))
    assert tables.modelled(made[2], 1, slow) > tables.modelled(made[2], 2, slow)
    assert tables.modelled(made[2], 2, slow) > tables.modelled(made[2], 2, fast)


@pytest.mark.parametrize(("modelled", "said"), [(10, ": within a third"), (3, ": not within a")])
def test_the_model_against_workers(modelled, said):
    clocked = {0: (10.0, 0.0), 1: (2.0, 9.0), 2: (2.0, 6.0)}
    check = tables.check_table(clocked, {1: modelled, 2: modelled})
    assert check["against none"][1] == 1.1
    assert check.seconds[2] == 8
    assert said in verdict.check_sentence(check)
    assert "One worker takes 1.10 times as long as none" in verdict.check_sentence(check)


def test_workers_are_clocked(x):
    calibration = epkit.calibrate(x, [2])
    driver, slowest = workers.critical_path(x, calibration, 2, 2)
    assert driver > 0 < slowest
    alone = workers.critical_path(x, calibration, 2, 0)
    assert alone[0] > 0 == alone[1]
    here = workers.rates_here(12)
    rates = (here.forward, here.product, here.rule, here.adding, here.decided)
    assert all(rate > 0 for rate in rates)


def test_the_answer_is_short_and_follows_the_numbers(made, projected):
    misses = tables.miss_table(made, 2)
    said = verdict.scaling_answer(misses, projected, 2, 1e7)
    assert len(said.split()) <= 40
    assert f"K {misses.K[2]:,}" in said
    worse = projected.assign(efficiency=1.0)
    assert "two levels do not reach more" in verdict.scaling_answer(misses, worse, 2, 1e7)
    two = worse.design == "one driver"
    worse.loc[two & (worse.workers > 2), "efficiency"] = 0.1
    said = verdict.scaling_answer(misses, worse, 2, 1e7)
    assert "pays until 2 GPUs if K grows on, 2 if not" in said
    assert "two levels reach 64" in said


def test_other_sentences(projected):
    said = verdict.bottleneck_sentence(projected, 1e7, 8)
    assert said.startswith("1e+07 activations on 8 GPUs")
    assert "if K grows on (most of it" in said
    assert "two levels, K stopped: " in verdict.pays_sentence(projected, 1e7)
    assert verdict.facts({"a": True, "b": False}) == ["a: yes", "b: no"]


def test_figures_are_drawn(made, projected):
    law = Growth.fitted(made[2])
    terms = {w: project(1e6, w, law, 640, GPU) for w in (1, 8)}
    for figure in (
        plots.plot_misses(made, 2),
        plots.plot_speedup(projected, 1e7),
        plots.plot_terms(terms, "title"),
    ):
        assert figure.axes
        plt.close(figure)
