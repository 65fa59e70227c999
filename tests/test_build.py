"""Tests of epkit.build."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import mixture
from fake_stream import WINDOW, FakeStream, same
from tiny_models import tiny_llama

import epkit
from epkit.build import build_from
from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached

QUIET = {"show_progress": False, "checkpoint": False, "keep": False}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fake():
    return FakeStream({3: mixture(1500, 24, seed=0), 7: mixture(1500, 24, seed=1)})


def test_every_dictionary_is_what_calibrate_and_leader_clustering_give(fake):
    atlas = build_from(fake, [2, 10], 1200, n_calibration=500, **QUIET)
    assert set(atlas) == {(3, 2), (3, 10), (7, 2), (7, 10)}
    for (layer, p), d in atlas.items():
        x = fake.activations[layer][:1200]
        cal = epkit.calibrate(x[:500], [2, 10])
        part = epkit.LeaderClustering(cal.centre, cal.thresholds[p]).partial_fit(x)
        alone = part.dictionary()
        assert d.threshold == alone.threshold
        assert torch.equal(d.exemplar_index, alone.exemplar_index)
        assert torch.equal(d.counts, alone.counts)
        assert torch.equal(d.means, alone.means)
        assert d.n == 1200
        about = d.metadata
        assert (about["layer"], about["percentile"], about["n_activations"]) == (layer, p, 1200)
        assert about["n_calibration"] == 500
        assert about["model"] == "fake"


def test_members_name_the_right_tokens(fake):
    d = build_from(fake, [10], 1200, n_calibration=500, **QUIET)[3, 10]
    members = d.members
    assert int(members.clustered.sum()) == 1200
    assert members.token_of(torch.arange(1200)).tolist() == list(range(1, 1201))
    for k in (0, len(d) - 1):
        index, distance = members.of(k, "closest")
        assert int(d.exemplar_index[k]) == int(index[0])
        assert distance[0] == 0
        assert (distance.diff() >= 0).all()
        assert len(index) == min(8, int(d.counts[k]))
    assert len(members.tokens) == members.lengths.sum()


def test_how_the_stream_is_chunked_changes_nothing(fake):
    whole = build_from(fake, [2], 1200, n_calibration=500, **QUIET)
    for windows in (1, 50, 1000):
        other = FakeStream(fake.activations, windows)
        other.fingerprint = fake.fingerprint
        assert same(whole, build_from(other, [2], 1200, n_calibration=500, **QUIET))


@pytest.mark.parametrize("stops", [[1], [3, 1, 4], [9]])
def test_an_interrupted_build_goes_on_to_the_same_bytes(fake, tmp_path, capsys, stops):
    whole = build_from(fake, [2, 10], 1300, n_calibration=200, **QUIET)
    path = tmp_path / "state.safetensors"
    options = {"checkpoint": path, "checkpoint_every": 0.0, "show_progress": False}
    for stop in stops:
        fake.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            build_from(fake, [2, 10], 1300, n_calibration=200, **options)
    fake.stop_after = None
    assert same(whole, build_from(fake, [2, 10], 1300, n_calibration=200, **options))
    assert not path.exists()
    assert ("going on" in capsys.readouterr().out) == (stops != [1])


def test_saturation_ends_the_pass_after_a_quiet_window(fake):
    atlas = build_from(fake, [10, 40], 1500, n_calibration=500, saturation_window=200, **QUIET)
    reached = {d.metadata["n_activations"] for d in atlas.values()}
    assert len(reached) == 1
    n = reached.pop()
    assert n < 1500
    for d in atlas.values():
        assert n - 1 - int(d.exemplar_index[-1]) >= 200
        assert d.saturated_at(200) <= n
    # One chunk earlier it was not yet quiet everywhere.
    last = max(int(d.exemplar_index[-1]) for d in atlas.values())
    assert n - last <= 200 + 9 * (WINDOW - 1) + 1


def test_a_short_stream_is_said(fake, capsys):
    d = build_from(fake, [10], 5000, n_calibration=5000, **QUIET)[3, 10]
    assert "ended after 1,500 of 5,000" in capsys.readouterr().out
    assert d.metadata["n_activations"] == d.metadata["n_calibration"] == 1500


def test_a_shared_calibration_is_used(fake):
    cal = epkit.calibrate(fake.activations[7], [5])
    atlas = build_from(fake, [5], 1000, calibrations={3: cal, 7: cal}, **QUIET)
    assert torch.equal(atlas[3, 5].centre, cal.centre)
    assert atlas[3, 5].threshold == atlas[7, 5].threshold == cal.thresholds[5]
    with pytest.raises(ValueError, match="none for layer 7"):
        build_from(fake, [5], 1000, calibrations={3: cal}, **QUIET)
    with pytest.raises(ValueError, match="no percentile 6"):
        build_from(fake, [6], 1000, calibrations={3: cal, 7: cal}, **QUIET)


@pytest.mark.parametrize(
    ("percentiles", "n", "options", "message"),
    [
        ([0], 100, {}, "percentile must be"),
        ([], 100, {}, "percentiles is empty"),
        ([5], 0, {}, "n_activations must be"),
        ([5], 100, {"n_calibration": 1}, "n_calibration must be"),
        ([5], 100, {"saturation_window": 0}, "saturation_window must be"),
    ],
)
def test_bad_requests_are_named(fake, percentiles, n, options, message):
    with pytest.raises(ValueError, match=message):
        build_from(fake, percentiles, n, **options, **QUIET)


def test_non_finite_activations_are_refused(fake):
    fake.activations[3][700] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        build_from(fake, [5], 1000, n_calibration=500, **QUIET)


def test_an_empty_stream_is_refused():
    with pytest.raises(ValueError, match="no activations"):
        build_from(FakeStream({3: torch.zeros(0, 4)}), [5], 100, **QUIET)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("percentiles", 1, TypeError),
        ("percentiles", "1", TypeError),
        ("percentiles", None, TypeError),
        ("percentiles", [True], TypeError),
        ("percentiles", [float("nan")], ValueError),
        ("percentiles", [100], ValueError),
        ("n_activations", 100.0, TypeError),
        ("n_activations", float("nan"), TypeError),
        ("n_activations", "100", TypeError),
        ("n_activations", True, TypeError),
        ("n_activations", 1, ValueError),
        ("n_calibration", 2.5, TypeError),
        ("seed", -1, ValueError),
        ("seed", 1.0, TypeError),
        ("seed", None, TypeError),
        ("seed", 2**64, ValueError),
        ("saturation_window", 3.0, TypeError),
        ("checkpoint", None, TypeError),
        ("checkpoint", 3, TypeError),
        ("checkpoint_every", -1, ValueError),
        ("checkpoint_every", float("nan"), ValueError),
        ("checkpoint_every", "often", TypeError),
        ("calibrations", [1], TypeError),
        ("calibrations", {3: 0.5}, TypeError),
        ("device", "gpu", ValueError),
        ("device", 3, TypeError),
        ("stream", "web", TypeError),
        ("stream", None, TypeError),
    ],
)
def test_an_impossible_argument_is_one_sentence(fake, name, value, error):
    given = {"stream": fake, "percentiles": [5], "n_activations": 100} | QUIET | {name: value}
    with pytest.raises(error, match=name.removesuffix("s")) as caught:
        build_from(**given)
    assert "\n" not in str(caught.value)


def test_numpy_numbers_are_numbers(fake):
    whole = build_from(fake, [2, 0.5], 600, n_calibration=300, **QUIET)
    given = [np.float64(2), np.float64(0.5)]
    numbers = {"n_calibration": np.int64(300), "seed": np.int32(0)}
    assert same(whole, build_from(fake, given, np.int64(600), **numbers, **QUIET))


def test_a_model_given_as_a_text_is_told_how_to_load_it():
    with pytest.raises(TypeError, match=r"epkit\.load_model\('smollm2'\)"):
        epkit.build("smollm2", ["text"], [1], [5], 100)


# ---- kept atlases -------------------------------------------------------------------------------

KEEP = {"show_progress": False, "n_calibration": 300}


def test_asking_again_loads_the_atlas_and_reads_no_stream(fake, home, capsys):
    whole = build_from(fake, [2, 0.5], 900, **KEEP)
    assert len(list((home / "atlases").glob("*/*"))) == 4
    fake.stop_after = 0
    assert same(whole, build_from(fake, [2.0, 0.5], 900, **KEEP))
    assert "loaded the 4 dictionaries" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        build_from(fake, [2, 0.5], 900, keep=False, **KEEP)


GIVEN = epkit.Calibration(torch.zeros(24), {2: 0.3, 0.5: 0.2}, 9)


@pytest.mark.parametrize(
    "change",
    [
        {"percentiles": [2]}, {"percentiles": [0.5, 2]}, {"n_activations": 901}, {"seed": 1},
        {"n_calibration": 301}, {"saturation_window": 800},
        {"calibrations": dict.fromkeys((3, 7), GIVEN)},
    ],
    ids=str,
)  # fmt: skip
def test_another_job_has_another_key(fake, change, capsys):
    job = {"percentiles": [2, 0.5], "n_activations": 900} | KEEP
    build_from(fake, **job)
    other = build_from(fake, **(job | change))
    assert "loaded" not in capsys.readouterr().out
    assert same(other, build_from(fake, **(job | change), keep=False))
    assert same(other, build_from(fake, **(job | change)))
    assert "loaded" in capsys.readouterr().out


def test_an_unsound_kept_atlas_is_built_again(fake, home, capsys):
    whole = build_from(fake, [2], 900, **KEEP)
    (folder,) = (home / "atlases").iterdir()
    other = build_from(fake, [2], 900, seed=1, **KEEP)
    (path,) = folder.glob("layer3_p2*")

    def of_another_seed():
        other[3, 2].save(path)

    def of_another_job():
        for (layer, _), d in other.items():
            d.save(folder / f"layer{layer}_p2.safetensors")

    def without_members():
        for (layer, _), d in whole.items():
            replace(d, members=None).save(folder / f"layer{layer}_p2.safetensors")

    def one_more():
        whole[3, 2].save(folder / "layer4_p2.safetensors")

    damages = [
        path.unlink, lambda: path.write_bytes(b"half"), of_another_seed, of_another_job,
        without_members, one_more, lambda: [f.unlink() for f in folder.iterdir()],
    ]  # fmt: skip
    for damage in damages:
        damage()
        assert same(whole, build_from(fake, [2], 900, **KEEP)), damage
        assert "the kept atlas cannot be used, building again" in capsys.readouterr().out, damage
    fake.stop_after = 0
    assert same(whole, build_from(fake, [2], 900, **KEEP))


def test_a_read_only_cache_gives_the_kept_atlas(fake, home, read_only):
    whole = build_from(fake, [2], 900, **KEEP)
    with read_only(home.parent):
        assert same(whole, build_from(fake, [2], 900, **KEEP))


def test_an_atlas_above_the_cap_is_not_kept(fake, home, monkeypatch, capsys):
    monkeypatch.setenv("EPKIT_CACHE_GB", "0.0000001")
    build_from(fake, [2], 900, **KEEP)
    assert "the atlas is not kept" in capsys.readouterr().out
    assert not list(home.glob("atlases/*"))


def test_a_bad_cap_is_told_before_the_work(fake, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE_GB", "nan")
    fake.stop_after = 0
    with pytest.raises(ValueError, match="EPKIT_CACHE_GB"):
        build_from(fake, [2], 900, **KEEP)


def test_two_threads_build_one_job(fake, capsys):
    whole = build_from(fake, [2], 900, keep=False, n_calibration=300, show_progress=False)
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(build_from, fake, [2], 900, checkpoint_every=0, **KEEP) for _ in range(4)
        ]
    assert all(same(whole, job.result()) for job in jobs)


def test_a_live_stream_and_a_cached_one_give_the_same_atlas(monkeypatch):
    texts = ["word " * (1 + 7 * i % 13) for i in range(60)]
    stream = ActivationStream(tiny_llama(), texts, [1, 2], context=24)
    live = build_from(stream, [5], 600, **KEEP)
    assert same(live, build_from(stream, [5], 600, cache=True, **KEEP))
    assert same(live, build_from(stream, [5], 600, cache=True, keep=False, **KEEP))
    assert same(live, build_from(cached(stream, 600, show_progress=False), [5], 600, **KEEP))
    both = epkit.build(stream.model, texts, [1], [5], 600, context=24, keep=False, **KEEP)
    assert both[1, 5].metadata["stream"] == stream.fingerprint
    assert torch.equal(both[1, 5].exemplars, live[1, 5].exemplars)
