"""Changes of the next token by hand, and effects on a model in which the lens is the truth."""

import numpy as np
import pytest
import torch
from effects_examples import made_bench, made_trial, straight_model
from tiny_models import tiny_llama

from epkit.studies.effects.drawing import MADE_UP, with_promoted
from epkit.studies.effects.measures import ABLATE, STEER, changed, measure_all, own_mass


def test_a_change_by_hand():
    before = torch.tensor([[[0.0, 0.0]]])
    after = torch.tensor([[[np.log(3.0), 0.0]]]).float()
    change = changed(before, after, torch.tensor([[1]]))
    half = np.log(3.0) / 2
    assert change.logits[0, 0].tolist() == pytest.approx([half, -half])
    assert float(change.kl) == pytest.approx(0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))
    assert float(change.loss) == pytest.approx(np.log(2))
    assert float(change.lift(torch.tensor([0]))) == pytest.approx(half)


def test_an_offset_of_all_logits_changes_nothing():
    before = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0))
    change = changed(before, before + 5, torch.zeros(2, 3, dtype=torch.long))
    for value in (change.logits, change.kl, change.loss):
        torch.testing.assert_close(value, torch.zeros_like(value), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def measured():
    model = straight_model()
    bench = made_bench(model)
    directions = torch.nn.functional.normalize(
        torch.randn(6, 16, generator=torch.Generator().manual_seed(2)), dim=1
    )
    trials = [made_trial(u, torch.zeros(16), region=i) for i, u in enumerate(directions)]
    trials = with_promoted(model, trials, directions, 3)
    return bench, trials, measure_all(bench, trials, 1.0)


def test_where_blocks_add_nothing_steering_raises_what_the_lens_names(measured):
    _, trials, table = measured
    steered = table[table.edit == STEER]
    assert steered["region"].tolist() == [t.region for t in trials]
    assert (steered["lift"] > 0).all()
    assert (steered["lift"] > steered["other"]).mean() > 0.8
    assert steered["kl members"].isna().all()


def test_an_ablation_is_measured_at_members_and_elsewhere(measured):
    bench, trials, table = measured
    row = table[table.edit == ABLATE].iloc[2]
    trial, q = trials[2], trials[2].direction
    streams = bench.streams[trial.present]
    edited = streams - (streams @ q)[..., None] * q
    edited[:, :1] = streams[:, :1]
    after, before = (bench.rest(x)[:, 1:-1] for x in (edited, streams))
    loss = (before.log_softmax(-1) - after.log_softmax(-1)).gather(
        -1, bench.ids[trial.present][:, 2:, None]
    )[..., 0]
    assert row["loss members"] == pytest.approx(float(loss[trial.members].mean()), abs=1e-5)
    assert row["loss"] == pytest.approx(float(loss[~trial.members].mean()), abs=1e-5)


def test_other_tokens_are_those_of_the_next_direction_of_the_same_kind():
    model = straight_model()
    bench = made_bench(model)
    u = torch.eye(16)[:3]
    trials = [made_trial(u[0], torch.zeros(16)), made_trial(u[1], torch.zeros(16), kind=MADE_UP)]
    trials += [made_trial(u[2], torch.zeros(16), region=1)]
    trials = with_promoted(model, trials, u, 3)
    table = measure_all(bench, trials, 0.5)
    alone = table[table.kind == MADE_UP]
    assert (alone["lift"] == alone["other"]).all()
    swapped = [trials[0], trials[1], made_trial(u[2], torch.zeros(16), region=1)]
    swapped[2] = swapped[2].__class__(**vars(swapped[2]) | {"promoted": trials[0].promoted})
    table = measure_all(bench, swapped, 0.5)
    assert (table["lift"][:2] == table["other"][:2]).all()


def test_all_tokens_hold_the_whole_distribution():
    model = tiny_llama()
    bench = made_bench(model)
    mass, error = own_mass(bench, model, torch.arange(3))
    assert mass == pytest.approx(1, abs=1e-5)
    assert error < 1e-4
