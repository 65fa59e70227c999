import numpy as np
import pandas as pd
import pytest
import torch
from refusal_examples import blobs, near, responses

from epkit.interventions import ablate
from epkit.studies.refusal import trials
from epkit.studies.refusal.sweep import CALIBRATED, RefusalSetting, RefusalSweep

X, BLOB = blobs()
AT = RefusalSetting(1, 40, "mean", 4, 5)


def sweep_of(x=X):
    return RefusalSweep.of({1: x, 3: x.flip(1)}, BLOB == 0, [10, 40], seed=2)


def trial_of(measured):
    """A trial that answers by the first edited layer, and notes what it was asked."""
    asked = []

    def trial(edits):
        asked.append(edits)
        refused, perplexity = measured(min(edits), len(asked))
        return {"harmful refused": refused, "benign perplexity": perplexity}

    trial.asked = asked
    return trial


def test_settings_are_tried_with_the_middle_range_then_the_others():
    trial = trial_of(lambda first, _: (0.0, {4: 3.0, 5: 2.0, 6: 1.0}[first]))
    table, setting = trials.choose_setting(trial, sweep_of(), [1], [40], [4, 5, 6], 7)
    assert list(table["first"]) == [5, 5, 4, 6]
    assert list(table.basis[:2]) == ["exemplar", "mean"]
    assert setting == (1, 40, "exemplar", 6, 7)
    assert list(setting.edited) == list(trial.asked[-1]) == [6, 7]


def test_a_trial_ablates_the_basis_it_names_from_the_label_free_centre():
    sweep = sweep_of()
    trial = trial_of(lambda _, n: (0.0, {1: 5.0, 2: 1.0}[n]))
    _, setting = trials.choose_setting(trial, sweep, [3], [40], [4], 4)
    assert setting.basis == "mean"
    d, _, k = sweep.found[CALIBRATED, 3, 40]
    for edits, v in zip(trial.asked, (d.exemplars[k], d.means[k]), strict=True):
        x = X.flip(1)
        torch.testing.assert_close(edits[4](x), ablate(v, d.centre, [4])[4](x))


def test_no_region_at_the_trial_settings_is_refused():
    with pytest.raises(ValueError, match=r"no region of layers \[9\]"):
        trials.choose_setting(None, sweep_of(), [9], [40], [4], 7)


def test_controls_by_hand():
    flags = {"none": [1, 1, 1, 1], "region": [0, 0, 0, 1], "a": [0, 0, 0, 0], "b": [1, 1, 0, 0]}
    table, rates = trials.control_table(
        lambda edits: np.array(flags[edits or "none"], dtype=bool), "region", {"kind": ["a", "b"]}
    )
    row = table.loc["kind"]
    assert (row.n, row["median"], row.lowest, row.highest) == (2, 0.25, 0, 0.5)
    assert row["as low as the region"] == 1
    assert row.p == pytest.approx(2 / 3)
    assert rates["region"] == 0.25
    assert rates["no edit"] == 1
    assert rates["kind"].tolist() == [0, 0.5]


def test_the_directions_to_steer_along_have_unit_length():
    sweep = sweep_of()
    found = trials.steering_directions(sweep, AT)
    assert list(found) == ["region", "difference of means", "null region", "random direction"]
    for v in found.values():
        torch.testing.assert_close(v.norm(), torch.tensor(1.0))
    d, _, k = sweep.found[CALIBRATED, 1, 40]
    torch.testing.assert_close(found["region"], d.means[k])


def test_steering_asks_once_for_what_is_not_steered():
    asked = []

    def respond(edits):
        asked.append(edits)
        return responses([0, 1])

    directions = {"region": torch.ones(6), "random direction": -torch.ones(6)}
    table, answers = trials.steering_table(respond, directions, [0.5, 1], norm=4.0, layer=3)
    assert list(table["α"]) == [0, 0.5, 1, 0.5, 1]
    assert list(answers) == ["no edit", "region", "random direction"]
    assert asked[0] is None
    torch.testing.assert_close(asked[1][3](torch.zeros(1, 6)).norm(), torch.tensor(2.0))
    own, _ = trials.steering_table(
        respond, directions, {"region": 0.1, "random direction": 3}, 4.0, 3
    )
    assert list(own["α"]) == [0, 0.1, 3]


def test_alpha_is_the_one_with_most_refusals_in_fluent_text():
    rows = [("region", 0.1, 0.2, 1.1), ("region", 0.2, 0.6, 1.4), ("region", 0.4, 0.9, 1.6)]
    columns = ["direction", "α", "refused", "ratio"]
    table = pd.DataFrame([(d, a, near(r), near(x)) for d, a, r, x in rows], columns=columns)
    assert trials.choose_alpha(table, "region", limit=1.5) == 0.2
    assert trials.choose_alpha(table, "region", limit=1.0) == 0.1
    table.at[1, "refused"] = near(0.2)
    assert trials.choose_alpha(table, "region", limit=1.5) == 0.1


@pytest.mark.slow
def test_trials_run_where_the_activations_are(far):
    sweep = sweep_of(X.to(far))

    def trial(edits):
        edited = edits[max(edits)](X.to(far))
        assert edited.device.type == "cuda"
        return {"harmful refused": 0.0, "benign perplexity": float(edited.norm())}

    table, chosen = trials.choose_setting(trial, sweep, [1, 3], [10, 40], [4, 5], 5)
    here = trial_of(lambda *_: (0.0, 1.0))
    assert len(table) == len(
        trials.choose_setting(here, sweep_of(), [1, 3], [10, 40], [4, 5], 5)[0]
    )
    for v in trials.steering_directions(sweep, chosen).values():
        assert v.device.type == "cuda"
