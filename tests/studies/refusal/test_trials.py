from types import SimpleNamespace

import pytest
import torch
from refusal_examples import blobs

import epkit
from epkit.readouts import basis_of
from epkit.stats import Interval
from epkit.studies.refusal import trials
from epkit.studies.refusal.sweep import RefusalSweep

X, BLOB = blobs()
BEFORE, AFTER = (0.9, 2.0), (0.0, 1.5)


def sweep_of(x=X):
    return RefusalSweep.of({1: x, 3: x.flip(1)}, BLOB == 0, [10, 40], seed=2)


def trial_of(measured):
    """A trial that answers by the first edited layer, and notes what it was asked."""
    asked = []

    def trial(edits):
        asked.append(edits)
        refused, perplexity = measured(min(edits), len(asked))
        return {"harmful refused": refused, "harmful perplexity": perplexity}

    trial.asked = asked
    return trial


def test_settings_are_tried_with_the_middle_range_then_the_others():
    sweep = sweep_of()
    trial = trial_of(lambda first, _: (0.0, {4: 3.0, 5: 2.0, 6: 1.0}[first]))
    table, setting = trials.choose_setting(trial, sweep, [1, 3], [40], [4, 5, 6], 7)
    assert list(table["first"]) == [5, 5, 5, 5, 4, 6]
    assert list(table.basis[:2]) == ["exemplar", "mean"]
    assert setting == (1, 40, "exemplar", 6, 7, 1.0)
    assert list(setting.edited) == list(trial.asked[-1]) == [6, 7]


def test_a_trial_ablates_the_basis_it_names():
    sweep = sweep_of()
    trial = trial_of(lambda _, n: (0.0, {1: 5.0, 2: 1.0}[n]))
    _, setting = trials.choose_setting(trial, sweep, [3], [40], [4], 4)
    assert setting.basis == "mean"
    d, _, k = sweep.found["answered", 3, 40]
    for edits, v in zip(trial.asked, (d.exemplars[k], d.means[k]), strict=True):
        x = X.flip(1)
        expected = sweep.ablation(v, 3, [4])[4](x)
        torch.testing.assert_close(edits[4](x), expected)


def test_no_region_at_the_trial_settings_is_refused():
    with pytest.raises(ValueError, match=r"no region of layers \[9\]"):
        trials.choose_setting(None, sweep_of(), [9], [40], [4], 7)


def setting(basis="mean"):
    return trials.RefusalSetting(1, 40, basis, 4, 5, 1.8)


def test_other_edits_cover_contrast_centre_and_positions():
    sweep = sweep_of()
    edits = trials.other_edits(sweep, setting(), epkit.partition(X, [40], order=0)[40], deep=1)
    assert list(edits) == [
        "contrast", "calibrated centre, region", "calibrated centre, null region",
        "per-position region, its own centre", "per-position null region, its own centre",
    ]  # fmt: skip
    assert all(list(edit) == [4, 5] for edit in edits.values())


@pytest.mark.parametrize("basis", ["exemplar", "mean"])
def test_conditions_hold_the_direction_its_kin_and_its_controls(basis):
    sweep = sweep_of()
    null = sweep.null("answered", 1, 40)
    found = trials.held_out_conditions(sweep, setting(basis), null)
    d, _, k = sweep.found["answered", 1, 40]
    assert found["no edit"] is None
    assert torch.equal(found[basis], basis_of(d, basis)[k])
    assert torch.equal(found["null region"], basis_of(null.dictionary, basis)[null.region])
    assert torch.equal(found["difference of means"], sweep.means[1])
    again = trials.held_out_conditions(sweep, setting(basis), null)
    assert torch.equal(found["random direction"], again["random direction"])


def test_steering_asks_once_for_what_is_not_steered():
    asked = []

    def respond(edits):
        asked.append(edits)
        return SimpleNamespace(rate=Interval(0.5, 0.2, 0.8), perplexity=len(asked), distinct=1.0)

    directions = {"mean": torch.ones(6), "random direction": -torch.ones(6)}
    table = trials.steering_table(respond, directions, [0.5, 1], norm=4.0, layer=3)
    assert list(table.alpha) == [0, 0.5, 1] * 2
    assert list(table.perplexity) == [1, 2, 3, 1, 4, 5]
    assert list(table.direction[[0, 3]]) == ["mean, layer 3", "random direction, layer 3"]
    assert asked[0] is None
    pushed = asked[1][3](torch.zeros(1, 6))
    torch.testing.assert_close(pushed.norm(), torch.tensor(2.0))


@pytest.mark.slow
def test_trials_run_where_the_activations_are(far):
    sweep = sweep_of(X.to(far))

    def trial(edits):
        edited = edits[max(edits)](X.to(far))
        assert edited.device.type == "cuda"
        return {"harmful refused": 0.0, "harmful perplexity": float(edited.norm())}

    table, chosen = trials.choose_setting(trial, sweep, [1, 3], [10, 40], [4, 5], 5)
    near = trials.choose_setting(
        trial_of(lambda *_: (0.0, 1.0)), sweep_of(), [1, 3], [10, 40], [4, 5], 5
    )
    assert len(table) == len(near[0])
    null = sweep.null("answered", chosen.layer, chosen.p)
    found = trials.held_out_conditions(sweep, chosen, null)
    assert {v.device.type for v in found.values() if v is not None} == {"cuda"}
    assert -1 <= sweep.to_means(chosen.layer, found["random direction"]) <= 1
    per = epkit.partition(X, [40], order=0, device=far)[40]
    for edits in trials.other_edits(sweep, chosen, per, deep=1).values():
        trial(edits)
