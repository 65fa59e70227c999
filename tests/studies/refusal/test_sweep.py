import pytest
import torch
from refusal_examples import blobs

from epkit.readouts import basis_of
from epkit.studies.refusal.sweep import CALIBRATED, SUPERVISED, RefusalSetting, RefusalSweep

AT = RefusalSetting(1, 40, "mean", 2, 3)


@pytest.fixture
def sweep():
    x, blob = blobs()
    return RefusalSweep.of({1: x, 3: x.flip(1)}, blob == 0, [10, 40], seed=2)


def test_the_table_has_a_row_for_every_region_to_edit(sweep):
    table = sweep.table()
    assert len(table) == sum(centre == CALIBRATED for centre, *_ in sweep.found)
    row = table[(table.layer == 1) & (table.p == 40)].iloc[0]
    assert (row.members, row.rate, row["share of refusals"]) == (40, 1, 1)


def test_the_region_of_the_refused_blob_is_found_from_both_centres(sweep):
    x, blob = blobs()
    for centre in (CALIBRATED, SUPERVISED):
        d, table, k = sweep.found[centre, 1, 40]
        assert (table.members[k], table.rate[k]) == (40, 1)
        assert torch.equal(d.assign(x)[0] == k, blob == 0)
    assert sweep.found[CALIBRATED, 1, 40].row.refusals == 40


def test_labels_do_not_enter_the_calibrated_partition(sweep):
    x, blob = blobs()
    other = RefusalSweep.of({1: x}, blob == 1, [40], seed=2)
    here, there = (s.made[CALIBRATED, 1][40] for s in (sweep, other))
    assert torch.equal(here.exemplars, there.exemplars)
    assert not torch.equal(
        sweep.made[SUPERVISED, 1][40].centre, other.made[SUPERVISED, 1][40].centre
    )


def test_means_and_cosines_by_hand(sweep):
    x, blob = blobs()
    torch.testing.assert_close(sweep.answered[1], x[blob > 0].mean(0))
    torch.testing.assert_close(sweep.means[1], x[blob == 0].mean(0) - x[blob > 0].mean(0))
    assert sweep.to_means(1, 3 * sweep.means[1]) == pytest.approx(1)
    assert sweep.to_means(1, -sweep.means[1]) == pytest.approx(-1)


def test_a_region_is_taken_out_seen_from_its_own_centre(sweep):
    x, _ = blobs()
    d, _, k = sweep.found[CALIBRATED, 1, 40]
    for basis in ("exemplar", "mean"):
        edits = sweep.region_edit(AT, basis)
        assert list(edits) == [2, 3]
        u = basis_of(d, basis)[k]
        torch.testing.assert_close(edits[2](x) @ u, (d.centre @ u).expand(len(x)))
    assert sweep.region_edit(AT._replace(layer=9), "mean") is None


def test_the_swap_puts_a_complying_centroid_into_the_span(sweep):
    x, blob = blobs()
    edits = sweep.swap_edit(AT)
    assert list(edits) == [1]
    edited = edits[1](x)
    refusing = x[blob == 0].mean(0)
    complying = min(
        (x[blob == b].mean(0) for b in (1, 2)), key=lambda c: (edited @ c - c @ c).abs().max()
    )
    for v in (refusing, complying):
        torch.testing.assert_close(edited @ v, (complying @ v).expand(len(x)), atol=2e-3, rtol=1e-3)
    q, _ = torch.linalg.qr(torch.stack([refusing, complying]).T)
    outside = torch.eye(6) - q @ q.T
    torch.testing.assert_close(edited @ outside, x @ outside, atol=1e-4, rtol=1e-4)


def test_conditions_begin_with_none_and_what_was_chosen(sweep):
    found = sweep.edits(AT)
    assert list(found) == [
        "no edit", "region, mean", "region, exemplar", "centroid-span swap", "supervised centre",
        "difference of means",
    ]  # fmt: skip
    assert list(sweep.edits(AT._replace(basis="exemplar")))[1] == "region, exemplar"
    u = sweep.means[1] / sweep.means[1].norm()
    edited = found["difference of means"][2](blobs()[0])
    torch.testing.assert_close(edited @ u, (sweep.answered[1] @ u).expand(len(edited)))


def test_controls_comply_or_are_drawn_with_a_seed(sweep):
    x, _ = blobs()
    nulls = sweep.nulls(AT, 9)
    assert nulls
    assert all(null.row.rate <= 0.2 for null in nulls)
    assert len(sweep.null_edits(AT, 9)) == len(nulls)
    one, two = (sweep.random_edits(AT, 3) for _ in range(2))
    assert len(one) == 3
    assert all(torch.equal(a[2](x), b[2](x)) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0][2](x), one[1][2](x))


@pytest.mark.parametrize("refused", [torch.zeros(120) > 0, torch.ones(120) > 0])
def test_one_kind_of_prompt_is_refused(refused):
    with pytest.raises(ValueError, match="needs both kinds"):
        RefusalSweep.of({1: blobs()[0]}, refused, [40], seed=0)


@pytest.mark.slow
def test_a_sweep_stays_where_its_activations_are(far, sweep):
    x, blob = blobs()
    there = RefusalSweep.of({1: x.to(far), 3: x.flip(1).to(far)}, blob == 0, [10, 40], seed=2)
    assert there.table().round(4).equals(sweep.table().round(4))
    groups = [*sweep.edits(AT).values()][1:]
    far_groups = [*there.edits(AT).values()][1:]
    far_groups += there.null_edits(AT, 2) + there.random_edits(AT, 2)
    for edits in far_groups:
        assert edits[max(edits)](x.to(far)).device.type == "cuda"
    for near, away in zip(groups, far_groups, strict=False):
        layer = max(near)
        torch.testing.assert_close(
            away[layer](x.to(far)).cpu(), near[layer](x), atol=1e-3, rtol=1e-3
        )
    assert there.to_means(1, torch.ones(6)) == pytest.approx(sweep.to_means(1, torch.ones(6)))
