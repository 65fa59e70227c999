"""What a notebook will need: sums by hand, profiles that fit, refusals that say what to change."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit import run
from epkit.runner import costs
from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, resolve

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {p.stem: parameter_defaults(nbformat.read(p, 4)) for p in find_notebooks(ROOT)}
LAPTOP = costs.Machine(50e9, 20e9, 8e9, 60e9, 10e9, 4)
CARD = costs.Machine(200e9, 20e9, 24e9, 60e12, 5e11, 2)
T4 = costs.Machine(40e9, 20e9, 15e9, 4e12, 2e11, 4)


def whole(profile):
    values = resolve(load_profile(ROOT, profile), DEFAULTS)
    return {stem: DEFAULTS[stem] | values[stem] for stem in DEFAULTS}


@pytest.mark.parametrize(
    ("profile", "machine"),
    [("cpu", LAPTOP), ("smoke", LAPTOP), ("gemma-2-2b", CARD), ("colab-t4", T4)],
)
def test_every_profile_fits_its_machine(profile, machine):
    text, refusals = costs.table(whole(profile), machine)
    assert refusals == []
    assert all(stem in text for stem in DEFAULTS)


def test_no_notebook_takes_a_free_gpu_longer_than_a_quarter_of_an_hour():
    for stem, p in whole("colab-t4").items():
        assert costs.cost(stem, p, T4).seconds < 15 * 60


def test_stored_activations_by_hand():
    p = whole("gemma-2-2b")["02_inspect"] | {"n_activations": 4_000_000, "n_heldout": 0}
    found = costs.cost("02_inspect", p, CARD)
    assert found.stored == 4_000_000 * 2 * 2304 * 2  # 36.9 GB
    assert "36.9 GB" in found.refusal
    assert "EPKIT_CACHE_GB" in found.refusal


@pytest.mark.parametrize(
    ("lacking", "said"),
    [("cap", "pass -p n_activations"), ("disk", "EPKIT_CACHE"), ("memory", "smaller model")],
)
def test_what_does_not_fit_is_refused_with_what_to_change(lacking, said):
    p = whole("cpu")["01_build"]
    found = costs.cost("01_build", p, replace(LAPTOP, **{lacking: 1e7}))
    assert said in found.refusal
    assert "\n" not in found.refusal


def test_the_proposed_length_fits():
    p = whole("gemma-2-2b")["01_build"] | {"n_activations": 9_000_000}
    proposed = int(costs.cost("01_build", p, CARD).refusal.split()[-1])
    assert not costs.cost("01_build", p | {"n_activations": proposed}, CARD).refusal


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(DEFAULTS)), st.integers(2, 50))
def test_more_activations_never_cost_less(stem, times):
    p = whole("cpu")[stem]
    if "n_activations" in p:
        more = p | {"n_activations": p["n_activations"] * times}
        a, b = (costs.cost(stem, x, LAPTOP) for x in (p, more))
        assert a.stored < b.stored
        assert a.seconds < b.seconds
        assert a.memory <= b.memory


def test_a_model_of_unknown_size_is_named():
    with pytest.raises(ValueError, match="'someone/else' is not known"):
        costs.cost("01_build", whole("cpu")["01_build"] | {"model": "someone/else"}, LAPTOP)


@pytest.mark.parametrize(("limit", "status"), [("20", 0), ("0.01", 2)])
def test_check_runs_nothing_and_says_whether_it_fits(monkeypatch, capsys, limit, status):
    monkeypatch.setenv("EPKIT_CACHE_GB", limit)
    monkeypatch.setattr(run, "run", None)
    assert run.main(["--profile", "cpu", "--only", "01", "--check"], ROOT) == status
    said = capsys.readouterr()
    assert "01_build" in said.out
    assert bool(said.err) == bool(status)
