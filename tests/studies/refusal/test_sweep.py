import pytest
import torch
from refusal_examples import blobs

import epkit
from epkit.readouts import basis_of
from epkit.studies.refusal.sweep import RefusalSweep, per_position


@pytest.fixture
def sweep():
    x, blob = blobs()
    return RefusalSweep.of({1: x, 3: x.flip(1)}, blob == 0, [10, 40], seed=2)


def test_every_centre_layer_and_percentile_has_a_row(sweep):
    table = sweep.table()
    assert len(table) == 8
    assert set(zip(table.centre, table.layer, table.p, strict=True)) == {
        (centre, layer, p) for centre in ("calibrated", "answered") for layer in (1, 3)
        for p in (10, 40)
    }  # fmt: skip
    assert len(sweep.found) == table.members.notna().sum()


def test_the_region_of_the_refused_blob_is_found_from_both_centres(sweep):
    x, blob = blobs()
    for centre in ("calibrated", "answered"):
        d, table, k = sweep.found[centre, 1, 40]
        assert (table.members[k], table.rate[k]) == (40, 1)
        assert torch.equal(d.assign(x)[0] == k, blob == 0)
    assert sweep.found["answered", 1, 40].row.refusals == 40


def test_means_and_cosines_by_hand(sweep):
    x, blob = blobs()
    torch.testing.assert_close(sweep.answered[1], x[blob > 0].mean(0))
    torch.testing.assert_close(sweep.means[1], x[blob == 0].mean(0) - x[blob > 0].mean(0))
    assert sweep.to_means(1, 3 * sweep.means[1]) == pytest.approx(1)
    assert sweep.to_means(1, -sweep.means[1]) == pytest.approx(-1)


def test_a_null_region_answers(sweep):
    null = sweep.null("answered", 1, 40)
    assert null.row.rate == 0
    assert null.dictionary is sweep.made["answered", 1][null.percentile]


def test_the_order_of_the_sweep_gives_its_own_direction_again(sweep):
    d, _, k = sweep.found["answered", 1, 40]
    for basis in ("exemplar", "mean"):
        again = sweep.reordered(1, 40, basis, order=sweep.seed)
        torch.testing.assert_close(again, basis_of(d, basis)[k])
    assert not torch.equal(sweep.reordered(1, 40, "exemplar", 7), d.exemplars[k])


def test_ablation_puts_the_answered_mean_in_place(sweep):
    edits = sweep.ablation(sweep.means[1], 1, range(2, 4))
    assert list(edits) == [2, 3]
    edited = edits[2](blobs()[0])
    u = sweep.means[1] / sweep.means[1].norm()
    torch.testing.assert_close(edited @ u, (sweep.answered[1] @ u).expand(len(edited)))
    assert sweep.ablation(None, 1, [2]) is None


@pytest.mark.parametrize("refused", [torch.zeros(120) > 0, torch.ones(120) > 0])
def test_one_kind_of_prompt_is_refused(refused):
    with pytest.raises(ValueError, match="needs both kinds"):
        RefusalSweep.of({1: blobs()[0]}, refused, [40], seed=0)


def test_positions_that_repeat_have_no_dictionary_at_low_percentiles():
    x, blob = blobs()
    same = torch.cat([x, x[:1].expand(60, -1)])  # a ninth of the pairs are identical
    table, made = per_position(same, x, blob == 0, [2, 5, 30, 40])
    assert list(made) == [30, 40]
    assert table.loc[[2, 5], "θ"].eq(0).all()
    assert table.loc[[2, 5], "regions"].isna().all()
    for p, d in made.items():
        alone = epkit.partition(same, [p], order=0)[p]
        assert torch.equal(d.exemplars, alone.exemplars)
        assert table["largest share"][p] == alone.assign(x)[0].bincount().max() / len(x)


def test_where_no_percentile_is_left_there_is_no_dictionary():
    x, blob = blobs()
    table, made = per_position(torch.ones(20, 6) + x[0], x, blob == 0, [5, 10])
    assert made == {}
    assert list(table.index) == [5, 10]


@pytest.mark.slow
def test_a_sweep_stays_where_its_activations_are(far, sweep):
    x, blob = blobs()
    there = RefusalSweep.of({1: x.to(far), 3: x.flip(1).to(far)}, blob == 0, [10, 40], seed=2)
    assert there.table().round(4).equals(sweep.table().round(4))
    directions = there.directions(1, 40) | {"null": there.reordered(1, 40, "mean", 2)}
    assert {v.device.type for v in directions.values()} == {"cuda"}
    assert there.null("answered", 1, 40).region == sweep.null("answered", 1, 40).region
    edits = there.ablation(directions["span"], 1, [2])
    assert edits[2](x.to(far)).device.type == "cuda"
    assert len(per_position(x.to(far), x.to(far), blob == 0, [40])[1]) == 1
    assert there.to_means(1, torch.ones(6)) == pytest.approx(sweep.to_means(1, torch.ones(6)))
