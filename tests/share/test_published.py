"""The published format: equal to the golden stream's exemplars, and hostile files refused."""

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from published_files import published_classes, write_published

from epkit import Dictionary
from epkit.share import read_published
from epkit.share.pickled_arrays import RefusedPickle

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILES = ["published_mixture48_p5.pkl", "published_legacy_mixture48_p5.pkl"]


@pytest.fixture(params=FILES)
def file(request):
    return GOLDEN / request.param


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN / "mixture48.npz", allow_pickle=False) as found:
        return dict(found)


def trusted(file):
    """The file as pickle itself reads it, which is safe for the two that come with the tests."""
    for home in ("ep.discovery.dictionary", "cas.discovery.dictionary"):
        with published_classes(home), contextlib.suppress(ModuleNotFoundError):
            return pickle.loads(file.read_bytes())
    raise AssertionError(f"{file.name} names classes of another home")


def test_it_equals_what_pickle_itself_reads(file):
    d, top = read_published(file, show_progress=False), trusted(file)
    assert len(d) == len(top.partitions) == 39
    assert d.threshold == top.threshold
    assert d.counts.tolist() == [row.member_count for row in top.partitions]
    assert d.metadata["names"] == [row.label or "" for row in top.partitions]
    np.testing.assert_array_equal(d.centre, top.center)
    np.testing.assert_array_equal(d.exemplars, top._exemplars[:39])
    means = np.stack([row.mean_member_direction for row in top.partitions])
    np.testing.assert_allclose(d.means, means, atol=1e-6)
    coherence = [row.member_coherence for row in top.partitions]
    np.testing.assert_allclose(d.coherence, coherence, atol=1e-6)


def test_it_equals_the_golden_stream(file, arrays):
    d = read_published(file, show_progress=False)
    assert len(d) == 39
    assert d.exemplar_index.tolist() == arrays["exemplar_index_p5"].tolist()
    assert d.counts.sum() == len(arrays["activations"])
    np.testing.assert_array_equal(d.centre, arrays["centre_p5"])
    x = torch.from_numpy(arrays["activations"])
    torch.testing.assert_close(d.exemplars, d.directions(x[d.exemplar_index]), atol=1e-6, rtol=0)


def test_statistics_texts_and_labels_are_kept(file):
    d = read_published(file, texts=2, show_progress=False)
    assert d.metadata["positions"] == "stream"
    assert d.metadata["names"][1] == "cluster 1"
    assert all(len(texts) <= 2 for texts in d.metadata["texts"])
    gap, text, place = d.metadata["texts"][0][0]
    assert gap == pytest.approx(0, abs=1e-6)
    assert text == "synthetic text number 0"
    assert place == 0
    assert ((d.distance_mean >= 0) & (d.distance_mean <= d.threshold)).all()
    torch.testing.assert_close(d.means.norm(dim=1), torch.ones(39), atol=1e-5, rtol=0)


def test_it_saves_and_loads_as_one_of_ours(file, tmp_path):
    d = read_published(file, show_progress=False)
    again = Dictionary.load(d.save(tmp_path / "d.safetensors"))
    assert torch.equal(again.exemplars, d.exemplars)
    assert again.metadata == d.metadata


def test_cut_at_every_thousandth_byte_it_is_refused(tmp_path):
    data = (GOLDEN / FILES[0]).read_bytes()
    cut = tmp_path / "cut.pkl"
    for end in range(0, len(data) - 1, 1000):
        cut.write_bytes(data[:end])
        with pytest.raises(RefusedPickle) as error:
            read_published(cut, show_progress=False)
        assert "\n" not in str(error.value)


def test_flipped_bits_are_refused_or_harmless(file, tmp_path):
    data = bytearray(file.read_bytes())
    rng = np.random.default_rng(0)
    target = tmp_path / "flipped.pkl"
    for place in rng.integers(0, len(data), 80):
        flipped = data.copy()
        flipped[place] ^= 1 << int(rng.integers(8))
        target.write_bytes(flipped)
        with contextlib.suppress(ValueError):
            read_published(target, show_progress=False)


@pytest.mark.parametrize(
    "value", [{"center": 1}, [1, 2], None, "text", np.zeros(3), ("Dictionary", {})]
)
def test_other_pickles_are_no_dictionary(value, tmp_path):
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps(value))
    with pytest.raises(RefusedPickle, match="no published dictionary"):
        read_published(other, show_progress=False)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="give a pickle"):
        read_published(tmp_path / "nothing.pkl")
    with pytest.raises(TypeError, match="path"):
        read_published(3)
    with pytest.raises(TypeError, match="texts"):
        read_published(GOLDEN / FILES[0], texts="3")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_large_file_keeps_what_is_asked_for(protocol, tmp_path):
    path = tmp_path / "d.pkl"
    write_published(path, 7, 400, kept=3, protocol=protocol, text="a\x1b[2Jb")
    d = read_published(path, show_progress=False)
    assert d.exemplars.shape == (7, 400)
    assert d.metadata["names"][6] == "label 6"
    assert d.metadata["texts"][6][0] == [0, "a\ufffd[2Jb 6 0", 0]
    torch.testing.assert_close(d.exemplars.norm(dim=1), torch.ones(7))
    torch.testing.assert_close(d.means.norm(dim=1), torch.ones(7))


def test_a_large_file_takes_less_memory_than_its_arrays(tmp_path):
    size = write_published(tmp_path / "large.pkl", 900, 512, kept=16)
    assert size > 30e6
    script = (
        "import resource, sys\nfrom epkit.share import read_published\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_published(sys.argv[1], show_progress=False); before = peak()\n"
        "read_published(sys.argv[2]); print('peak', 1024 * (peak() - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, GOLDEN / FILES[0], tmp_path / "large.pkl"],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(GOLDEN.parents[1])},
    )  # fmt: skip
    *_, progress, peak = done.stdout.splitlines()
    assert progress.startswith("reading large.pkl: ")
    assert int(peak.split()[1]) < size


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (np.float64(0.7).tobytes()[::-1], np.float64(2.5).tobytes()[::-1], "threshold"),
        (np.float64(0.5).tobytes()[::-1], np.float64(np.nan).tobytes()[::-1], "coherence"),
    ],
)
def test_what_is_no_sound_dictionary_is_refused_by_field(old, new, field, tmp_path):
    path = tmp_path / "d.pkl"
    write_published(path, 3, 8)
    path.write_bytes(path.read_bytes().replace(b"G" + old, b"G" + new))
    with pytest.raises(RefusedPickle, match=field):
        read_published(path, show_progress=False)
