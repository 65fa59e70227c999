"""Tables of an atlas against the dictionaries' own words; the verdict in each of its wordings."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream

import epkit
from epkit.stats import Interval
from epkit.studies.building.tables import (
    coverage_table,
    coverage_verdict,
    membership_table,
    size_table,
    threshold_table,
)

STREAM = {1: mixture(600, 12), 3: mixture(600, 12, seed=1)}
FRESH = {1: mixture(200, 12, seed=2), 3: mixture(200, 12, seed=3)}


def stored(activations):
    """Activations as the disk cache serves them: documents of ten."""
    (chunk,) = FakeStream(activations, windows_per_chunk=1000).chunks()
    return SimpleNamespace(layer=activations.__getitem__, **vars(chunk))


def build(layers=(1, 3), device="cpu"):
    return {
        (layer, p): d
        for layer, x in STREAM.items()
        if layer in layers
        for p, d in epkit.partition(x, [2, 8], order=None, recount=False, device=device).items()
    }


@pytest.fixture(scope="module")
def atlas():
    return build()


def test_sizes_are_the_dictionaries_own(atlas):
    table = size_table(atlas, 50)
    assert list(table.index) == list(atlas)
    d = atlas[3, 8]
    row = table.loc[(3, 8)]
    assert row["regions K"] == len(d)
    assert row["largest region"] == f"{int(d.counts.max()) / 600:.1%}"
    assert row["singletons"] == f"{int((d.counts == 1).sum()) / len(d):.0%}"
    assert row["saturated (50 quiet)"] == (d.saturated_at(50) or "no")


def test_recounting_brings_members_nearer_on_average(atlas):
    table = membership_table(atlas, stored(STREAM))
    gap = table["mean distance when joining"] - table["mean distance to the nearest"]
    assert (gap >= -1e-6).all()
    assert gap.max() > 0
    x, d = STREAM[1], atlas[1, 2]
    assert table.loc[(1, 2), "mean distance to the nearest"] == pytest.approx(
        d.assign(x)[1].mean().item(), abs=1e-5
    )
    assert (table["regions left empty"] == 0).all()  # an exemplar is its own nearest


def test_coverage_by_hand(atlas):
    table = coverage_table(atlas, stored(STREAM), stored(FRESH), n_draws=2)
    d, x = atlas[1, 8], FRESH[1]
    within = (d.assign(x)[1] <= d.threshold).float()
    row = table.loc[(1, 8)]
    assert row["within θ"] == pytest.approx(within.mean().item())
    draws = [
        (epkit.random_dictionary(d, STREAM[1], seed=s).assign(x)[1] <= d.threshold).float()
        for s in range(2)
    ]
    assert row["within θ, random"] == pytest.approx(torch.stack(draws).mean().item())
    # documents are of one length here, so the mean over them is that over activations
    assert row["more covered"].value == pytest.approx(
        (within - torch.stack(draws).mean(0)).mean().item(), abs=1e-6
    )
    assert row["nearer by"].value == pytest.approx(
        row["mean distance, random"] - row["mean distance"], abs=1e-6
    )


def test_joined_at_the_end_is_what_founded_nothing(atlas):
    table = coverage_table(atlas, stored(STREAM), stored(FRESH), n_draws=1)
    d = atlas[1, 2]
    late = sum(at >= 540 for at in d.exemplar_index.tolist())
    assert table.loc[(1, 2), "joined at the end"] == pytest.approx(1 - late / 60)
    assert table.loc[(1, 8), "detectable"] > 0


def test_thresholds_are_those_of_disjoint_stretches():
    stream = stored(STREAM)
    stream.n = 600
    table = threshold_table(stream, [1, 3], [2, 8], n=120)
    found = [epkit.calibrate(x, [8]).thresholds[8] for x in STREAM[3].split(120)]
    row = table.loc[(3, 8)]
    assert row["θ"] == pytest.approx(sum(found) / 5)
    assert (row["least"], row["greatest"]) == (min(found), max(found))
    with pytest.raises(ValueError, match="5 stretches of 121 need more than 600"):
        threshold_table(stream, [1], [2], n=121)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["far", "near"])
def test_a_far_atlas_gives_the_same_tables(far, given):
    here, there = build([1]), build([1], far)
    stream, fresh = stored(STREAM), stored(FRESH)
    far_stream, far_fresh = stored(STREAM), stored(FRESH)
    if given == "far":
        far_stream.layer = lambda layer: STREAM[layer].to(far)
        far_fresh.layer = lambda layer: FRESH[layer].to(far)
    pd.testing.assert_frame_equal(size_table(there, 50), size_table(here, 50), rtol=1e-4)
    found, near = membership_table(there, far_stream), membership_table(here, stream)
    pd.testing.assert_frame_equal(found, near, rtol=1e-4)
    found = coverage_table(there, far_stream, far_fresh, n_draws=1)
    near = coverage_table(here, stream, fresh, n_draws=1)
    assert found["within θ"].tolist() == pytest.approx(near["within θ"].tolist())
    assert coverage_verdict(there, found, 50) == coverage_verdict(here, near, 50)


BULK = "random exemplars sit where activations are dense, and describe the bulk more closely."
AS_WELL = "they describe the bulk more closely as well."


@pytest.mark.parametrize(
    ("nearer", "said"),
    [
        ([-1, -1, -1, 1], f"nearer on average in 1 and further in 3: {BULK}"),
        ([1, 1, 0, -1], f"nearer on average in 2 and further in 1: {AS_WELL}"),
        ([0, 0, 0, 0], f"nearer on average in 0 and further in 0: {AS_WELL}"),
    ],
)
def test_the_verdict_says_which_describe_the_bulk(atlas, nearer, said):
    covered = [Interval(0.1, 0.05, 0.2), Interval(0, -1, 1), *[Interval(1, 0.5, 2)] * 2]
    control = pd.DataFrame({
        "more covered": covered,
        "nearer by": [Interval(s, s - 0.5, s + 0.5) for s in nearer],
    })  # fmt: skip
    regions, cover = coverage_verdict(atlas, control, 10**6)
    fine, coarse = len(atlas[3, 2]), len(atlas[3, 8])
    assert regions.startswith(
        f"600 activations of layer 3 fall into {fine:,} regions at p = 2 and {coarse:,} at p = 8. "
        "0 of 4 dictionaries went 1,000,000 activations without a new region; "
    )
    assert "in 3 of 4 dictionaries (95 % intervals)" in cover
    assert cover.endswith(said)
