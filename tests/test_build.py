"""Tests of epkit.build and epkit.build_state."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import mixture
from fake_stream import WINDOW, FakeStream

import epkit
from epkit.build import build_from, load_atlas, save_atlas

QUIET = {"show_progress": False, "checkpoint": False}


@pytest.fixture
def fake():
    return FakeStream({3: mixture(1500, 24, seed=0), 7: mixture(1500, 24, seed=1)})


def same(a, b):
    """Whether two atlases are equal to the bit, members included."""
    assert list(a) == list(b)
    for key in a:
        for one, two in ((a[key], b[key]), (a[key].members, b[key].members)):
            for name, value in vars(one).items():
                other = getattr(two, name)
                if isinstance(value, torch.Tensor):
                    assert value.numpy().tobytes() == other.numpy().tobytes(), (key, name)
                elif name == "metadata":
                    assert value == other
    return True


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


def test_a_damaged_checkpoint_is_said_and_not_used(fake, tmp_path, capsys):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"half a file")
    d = build_from(fake, [10], 600, n_calibration=500, checkpoint=path, show_progress=False)
    assert "starting again" in capsys.readouterr().out
    assert same(d, build_from(fake, [10], 600, n_calibration=500, **QUIET))


SCRIPT = """
import sys, torch
sys.path.insert(0, {tests!r})
from conftest import mixture
from fake_stream import FakeStream
from epkit.build import build_from, save_atlas
fake = FakeStream({{3: mixture(6000, 24)}}, windows_per_chunk=4)
atlas = build_from(fake, [1], 6000, n_calibration=300, show_progress=False,
                   checkpoint={state!r}, checkpoint_every=0.0)
save_atlas(atlas, {out!r})
"""


def test_killed_three_times_the_file_has_the_same_bytes(tmp_path):
    state, out = tmp_path / "state.safetensors", tmp_path / "out"
    script = SCRIPT.format(tests=str(Path(__file__).parent), state=str(state), out=str(out))
    generator = torch.Generator().manual_seed(int(time.time()))
    kills = 0
    for _ in range(3):
        job = subprocess.Popen([sys.executable, "-c", script])
        before = state.stat().st_mtime_ns if state.exists() else 0
        while job.poll() is None and not (state.exists() and state.stat().st_mtime_ns > before):
            time.sleep(0.01)
        time.sleep(0.15 * torch.rand(1, generator=generator).item())
        job.send_signal(signal.SIGKILL)
        kills += job.wait() == -signal.SIGKILL
    assert kills, "the job was over before it could be killed even once"
    subprocess.run([sys.executable, "-c", script], check=True)
    fake = FakeStream({3: mixture(6000, 24)}, windows_per_chunk=4)
    whole = build_from(fake, [1], 6000, n_calibration=300, **QUIET)
    expected = save_atlas(whole, tmp_path / "expected")[0]
    assert (out / expected.name).read_bytes() == expected.read_bytes()
    assert os.listdir(out) == [expected.name]


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
        ([5], 10.5, {}, "n_activations must be"),
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


def test_atlas_round_trip(fake, tmp_path):
    atlas = build_from(fake, [0.5, 10], 1000, n_calibration=500, **QUIET)
    names = [path.name for path in save_atlas(atlas, tmp_path)]
    assert names == [f"layer{layer}_p{p}.safetensors" for layer in (3, 7) for p in ("0.5", "10")]
    assert same(atlas, load_atlas(tmp_path))
    with pytest.raises(FileNotFoundError, match="no dictionaries"):
        load_atlas(tmp_path / "none")
