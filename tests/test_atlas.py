"""Tests of epkit.atlas."""

import pytest
from conftest import mixture
from fake_stream import FakeStream, same
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit.atlas import file_name, load_atlas, save_atlas
from epkit.build import build_from

QUIET = {"show_progress": False, "checkpoint": False, "keep": False}
X = {3: mixture(700, 24, seed=0), 7: mixture(700, 24, seed=1)}


def build(activations=X, percentiles=(2, 10), n=600, **options):
    options = {"n_calibration": 300} | options
    return build_from(FakeStream(activations), percentiles, n, **options, **QUIET)


@pytest.fixture(scope="module")
def atlas():
    return build()


def test_round_trip(tmp_path):
    atlas = build(percentiles=[0.5, 10])
    names = [path.name for path in save_atlas(atlas, tmp_path)]
    assert names == [f"layer{layer}_p{p}.safetensors" for layer in (3, 7) for p in ("0.5", "10")]
    assert same(atlas, load_atlas(tmp_path))
    save_atlas(atlas, tmp_path)  # the same again is nobody's loss
    with pytest.raises(FileNotFoundError, match="no dictionaries"):
        load_atlas(tmp_path / "none")


def test_percentiles_that_differ_late_have_files_of_their_own(tmp_path):
    atlas = build({3: X[3]}, percentiles=[12.1234567, 12.12345671])
    save_atlas(atlas, tmp_path)
    assert same(atlas, load_atlas(tmp_path))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100, exclude_min=True, exclude_max=True))
def test_a_file_name_holds_every_digit(p):
    name = file_name(20, p)
    assert float(name.removeprefix("layer20_p").removesuffix(".safetensors")) == p
    assert file_name(20, 1) == file_name(20, 1.0) == "layer20_p1.safetensors"


MIXTURES = {
    "stream": {"activations": {3: X[3] + 0.1, 7: X[7]}},
    "seed": {"seed": 1},
    "n_activations": {"n": 500},
    "n_calibration": {"n_calibration": 301},
    "saturation_window": {"saturation_window": 590},
}


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_is_refused_and_never_written(atlas, tmp_path, name):
    other = build(**MIXTURES[name])
    save_atlas(atlas, tmp_path)
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    for part in (other, {(3, 2): other[3, 2]}, {(9, 2): other[3, 2]}):
        with pytest.raises(ValueError, match=r"other dictionaries|holds the dictionary of layer"):
            save_atlas(part, tmp_path)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before
    other[7, 10].save(tmp_path / "layer7_p10.safetensors")
    with pytest.raises(ValueError, match=rf"mixes dictionaries: .* has {name} .*, .* has") as told:
        load_atlas(tmp_path)
    assert "layer7_p10" in str(told.value)
    with pytest.raises(ValueError, match=f"mixes dictionaries: .*{name}"):
        save_atlas(atlas | {(7, 10): other[7, 10]}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("key", ["model", "revision", "dtype"])
def test_dictionaries_of_two_models_are_a_mixture(atlas, tmp_path, key):
    save_atlas(atlas, tmp_path)
    path = tmp_path / "layer3_p10.safetensors"
    d = epkit.Dictionary.load(path)
    d.metadata[key] = "another"
    d.save(path)
    with pytest.raises(ValueError, match=f"has {key} .*'another'"):
        load_atlas(tmp_path)


def test_a_smaller_atlas_is_not_mixed_with_a_larger(atlas, tmp_path, capsys):
    save_atlas(atlas, tmp_path)
    small = {(3, 2): atlas[3, 2]}
    with pytest.raises(ValueError, match=r"layer3_p10.safetensors and 2 more\): choose an empty"):
        save_atlas(small, tmp_path)
    assert same(atlas, load_atlas(tmp_path))
    (tmp_path / "layer_pages.safetensors").write_text("somebody's")
    (tmp_path / "layer3_p02.safetensors").write_text("somebody's")
    save_atlas(small, tmp_path, replace=True)
    assert "3 other dictionaries replaced or removed" in capsys.readouterr().out
    assert same(small, load_atlas(tmp_path))
    assert (tmp_path / "layer_pages.safetensors").exists()
    assert (tmp_path / "layer3_p02.safetensors").exists()


def test_a_damaged_file_in_the_folder_is_replaced(atlas, tmp_path):
    save_atlas(atlas, tmp_path)
    (tmp_path / "layer3_p2.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="truncated"):
        load_atlas(tmp_path)
    save_atlas(atlas, tmp_path)
    assert same(atlas, load_atlas(tmp_path))


def test_a_renamed_file_is_refused(atlas, tmp_path):
    save_atlas({(3, 2): atlas[3, 2]}, tmp_path)
    (tmp_path / "layer3_p2.safetensors").rename(tmp_path / "layer3_p4.safetensors")
    with pytest.raises(ValueError, match="holds the dictionary of percentile 2"):
        load_atlas(tmp_path)


def test_calibrations_given_by_layer_may_be_of_different_lengths(tmp_path):
    given = {layer: epkit.calibrate(X[layer][: 100 * layer], [10]) for layer in X}
    atlas = build(percentiles=[10], calibrations=given)
    save_atlas(atlas, tmp_path)
    assert same(atlas, load_atlas(tmp_path))


@pytest.mark.parametrize("empty", [{}, None, []])
def test_nothing_to_save(tmp_path, empty):
    with pytest.raises(ValueError, match="the atlas is empty"):
        save_atlas(empty, tmp_path)
