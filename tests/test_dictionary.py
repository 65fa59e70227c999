"""Tests of epkit.dictionary (and of the file under it, epkit.files)."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import mixture
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit.geometry import directions
from epkit.members import MemberCollector


@pytest.fixture
def dictionary(stream):
    cal = epkit.calibrate(stream, [2])
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[2]).partial_fit(stream)
    return part.dictionary(model="toy", layer=3, percentile=2)


def with_members(stream):
    cal = epkit.calibrate(stream, [2])
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[2])
    collector = MemberCollector(seed=1)
    collector.update(0, *part.fit_directions(directions(stream, cal.centre)), part.n_regions)
    n = len(stream)
    tokens = torch.arange(n + 1, dtype=torch.int32)
    clustered = torch.ones(n + 1, dtype=torch.bool)
    clustered[0] = False
    members = collector.members(tokens, torch.tensor([n + 1], dtype=torch.int32), clustered)
    d = part.dictionary(model="toy")
    return type(d)(**(vars(d) | {"members": members}))


def test_statistics_against_a_direct_computation(stream, dictionary):
    part = epkit.LeaderClustering(dictionary.centre, dictionary.threshold)
    u = directions(stream, dictionary.centre)
    region, distance = part.fit_directions(u)
    for k in range(len(dictionary)):
        mine = u[region == k].double()
        assert dictionary.counts[k] == len(mine)
        torch.testing.assert_close(dictionary.coherence[k].double(), mine.mean(0).norm())
        mean = torch.nn.functional.normalize(mine.sum(0), dim=0)
        torch.testing.assert_close(dictionary.means[k].double(), mean, atol=1e-6, rtol=0)
        d = distance[region == k].double()
        torch.testing.assert_close(dictionary.distance_mean[k].double(), d.mean())
        torch.testing.assert_close(
            dictionary.distance_std[k].double(), d.std(correction=0), atol=1e-6, rtol=1e-4
        )
    assert torch.equal(dictionary.exemplars, u[dictionary.exemplar_index])


def test_assign_and_distances_agree(stream, dictionary):
    region, distance = dictionary.assign(stream.numpy().astype(np.float64))
    every = dictionary.distances(stream)
    assert every.shape == (len(stream), len(dictionary))
    assert every.min() >= 0
    assert every.max() <= 2
    torch.testing.assert_close(every.amin(1), distance, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        every[torch.arange(len(stream)), region], distance, atol=1e-6, rtol=0
    )


def test_recount_is_voronoi_and_does_not_depend_on_batches(stream, dictionary):
    region, distance = dictionary.assign(stream)
    again = dictionary.recount(stream)
    assert torch.equal(again.counts, region.bincount(minlength=len(dictionary)))
    assert again.n == len(stream)
    assert torch.equal(again.exemplars, dictionary.exemplars)
    assert not torch.equal(again.counts, dictionary.counts)  # stream order differs from Voronoi
    parts = dictionary.recount(stream.split(31))
    assert torch.equal(parts.means, again.means)
    mean = torch.zeros(len(dictionary)).index_add_(0, region, distance) / again.counts
    torch.testing.assert_close(again.distance_mean, mean)


def test_recount_leaves_regions_without_members_at_their_exemplar(dictionary):
    few = dictionary.recount(dictionary.exemplars[:2] * 5 + dictionary.centre)
    assert few.counts.tolist() == [1, 1] + [0] * (len(dictionary) - 2)
    assert torch.equal(few.means[2:], dictionary.exemplars[2:])
    assert not few.coherence[2:].any()
    with pytest.raises(ValueError, match="at least one"):
        dictionary.recount(torch.zeros(0, 24))


def mean_cosine(dictionary, x):
    """Float64, to the nearest of the float32 exemplars."""
    u = directions(x, dictionary.centre).double()
    return float((u @ dictionary.exemplars.double().T).amax(1).mean())


@given(
    n=st.integers(1, 60), dim=st.integers(2, 8), k=st.integers(1, 12), seed=st.integers(0, 2**20)
)
@settings(max_examples=60, deadline=None)
def test_no_round_of_refining_lowers_the_mean_cosine(n, dim, k, seed):
    x = mixture(max(n, k), dim, seed, clusters=4)
    start = epkit.LeaderClustering(torch.zeros(dim), 1e-3).partial_fit(x[:k]).dictionary()
    fits = [mean_cosine(start.refine(x, rounds), x) for rounds in range(4)]
    assert all(later >= earlier - 1e-7 for earlier, later in pairwise(fits))


def test_refining_is_lloyds_rounds_written_out(stream, dictionary):
    e, u = dictionary.exemplars.double(), directions(stream, dictionary.centre).double()
    for _ in range(3):
        sums = torch.zeros_like(e).index_add_(0, (u @ e.T).argmax(1), u)
        e = torch.where(sums.any(1, keepdim=True), torch.nn.functional.normalize(sums), e)
    refined = dictionary.refine(stream, rounds=3)
    torch.testing.assert_close(refined.exemplars.double(), e, atol=1e-6, rtol=0)
    region, distance = refined.assign(stream)
    assert torch.equal(refined.counts, region.bincount(minlength=len(dictionary)))
    sums = torch.zeros_like(e).index_add_(0, region, u)
    torch.testing.assert_close(
        refined.coherence.double(),
        sums.norm(dim=1) / refined.counts.clamp(min=1),
        atol=1e-6,
        rtol=0,
    )
    torch.testing.assert_close(
        refined.distance_mean.double().dot(refined.counts.double()), distance.double().sum()
    )


def test_refining_keeps_what_it_must_and_says_so(stream, dictionary):
    refined = dictionary.refine(stream.numpy().astype(np.float64), rounds=np.int64(2))
    assert len(refined) == len(dictionary)
    assert torch.equal(refined.exemplar_index, dictionary.exemplar_index)
    assert refined.threshold == dictionary.threshold
    assert refined.members is None
    assert refined.metadata == dictionary.metadata | {"recounted": True, "refined": 2}
    assert refined.n == len(stream)


def test_refining_does_not_depend_on_batches(stream, dictionary):
    whole = dictionary.refine(stream, rounds=3)
    for sizes in (31, 500):
        parts = dictionary.refine(stream.split(sizes), rounds=3)
        assert torch.equal(parts.counts, whole.counts)
        torch.testing.assert_close(parts.exemplars, whole.exemplars, atol=1e-7, rtol=0)


def test_no_round_of_refining_is_a_recount(stream, dictionary):
    none, again = dictionary.refine(stream, rounds=0), dictionary.recount(stream)
    for name, value in vars(again).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(getattr(none, name), value), name


def test_refining_leaves_empty_regions_where_they_are(dictionary):
    few = dictionary.refine(dictionary.exemplars[:2] * 5 + dictionary.centre, rounds=2)
    assert few.counts.tolist() == [1, 1] + [0] * (len(dictionary) - 2)
    torch.testing.assert_close(few.exemplars, dictionary.exemplars, atol=1e-6, rtol=0)
    assert torch.equal(few.exemplars[2:], dictionary.exemplars[2:])


@pytest.mark.parametrize("once", [iter, lambda x: (part for part in x), lambda x: map(id, x)])
def test_refining_refuses_what_can_be_read_once(stream, dictionary, once):
    with pytest.raises(TypeError, match=r"x is a .* which can be read once"):
        dictionary.refine(once(stream.split(100)))


def test_growth_and_saturation(stream, dictionary):
    seen, regions = dictionary.growth()
    assert seen[0] == 0
    assert regions[0] == 0
    assert seen[-1] == len(stream)
    assert regions[-1] == len(dictionary)
    assert (regions.diff() >= 0).all()
    gaps = torch.cat([dictionary.exemplar_index, torch.tensor([len(stream)])]).diff() - 1
    longest = int(gaps.max())
    at = dictionary.saturated_at(longest)
    index = dictionary.exemplar_index
    assert not ((index >= at - longest) & (index < at)).any()
    assert dictionary.saturated_at(longest + 1) is None


def test_round_trip_is_bit_equal_and_bytes_are_reproducible(tmp_path, stream):
    d = with_members(stream)
    d.save(tmp_path / "a.safetensors")
    d.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    back = epkit.Dictionary.load(tmp_path / "a.safetensors")
    for one, two in ((d, back), (d.members, back.members)):
        for name, value in vars(one).items():
            if isinstance(value, torch.Tensor):
                other = getattr(two, name)
                assert value.dtype == other.dtype
                assert value.numpy().tobytes() == other.numpy().tobytes(), name
    assert back.threshold == d.threshold
    assert back.metadata == d.metadata == {"model": "toy"}
    assert not list(tmp_path.glob(".*"))


def test_every_flipped_byte_and_every_truncation_is_refused(tmp_path):
    x = mixture(40, 4)
    path = tmp_path / "d.safetensors"
    epkit.LeaderClustering(torch.zeros(4), 0.4).partial_fit(x).dictionary().save(path)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    places = {*range(0, 8), *rng.integers(0, len(sound), 300).tolist()}
    for place in places:
        bad = bytearray(sound)
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        with pytest.raises(ValueError, match=r"truncated|damaged|format"):
            epkit.Dictionary.load(path)
    for length in (0, 5, 100, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(ValueError, match="truncated"):
            epkit.Dictionary.load(path)


def test_what_was_loaded_is_no_map_of_its_file(tmp_path, stream):
    d = with_members(stream)
    path = d.save(tmp_path / "d.safetensors")
    back = epkit.Dictionary.load(path)
    with path.open("r+b") as file:  # in place: the same file under a map
        file.write(b"\0" * path.stat().st_size)
    for name, value in d._tensors().items():
        assert value.numpy().tobytes() == back._tensors()[name].numpy().tobytes(), name
    path.write_bytes(b"")
    assert back.exemplars.sum() == d.exemplars.sum()


@pytest.mark.parametrize("path", [3, None, "", b"d", ["d"]])
def test_what_is_no_path_is_refused(dictionary, path):
    for ask in (dictionary.save, epkit.Dictionary.load):
        with pytest.raises(TypeError, match="path must be a path"):
            ask(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        epkit.Dictionary.load(tmp_path / "nothing.safetensors")


def test_a_failing_write_leaves_the_old_file(tmp_path, dictionary, monkeypatch):
    path = dictionary.save(tmp_path / "d.safetensors")
    before = path.read_bytes()

    def no_space(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("epkit.files.safetensors.torch.save_file", no_space)
    with pytest.raises(OSError, match="No space"):
        dictionary.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["d.safetensors"]


def test_metadata_must_be_jsonable(stream):
    part = epkit.LeaderClustering(torch.zeros(24), 0.5).partial_fit(stream)
    with pytest.raises(ValueError, match="JSON"):
        part.dictionary(layer=torch.tensor(3))


@pytest.mark.parametrize(
    "bad", [torch.ones(3, 5), torch.full((1, 24), torch.nan), torch.zeros(1, 24)]
)
def test_unusable_activations_are_refused(dictionary, bad):
    for ask in (dictionary.assign, dictionary.distances, dictionary.recount):
        with pytest.raises(ValueError, match=r"dimensions|finite|zero"):
            ask(bad)


def test_repr_and_device(dictionary):
    assert "regions of 1,500 activations" in repr(dictionary)
    assert "layer=3" in repr(dictionary)
    assert dictionary.to("cpu").metadata == dictionary.metadata
