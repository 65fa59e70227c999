"""Profiles: which parameters a notebook gets, and the errors for names and types it lacks."""

import pytest
from nbformat import v4

from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, resolve

DEFAULTS = {
    "01_build": {"model": "tiny", "layers": [1, 2], "seed": 0},
    "02_inspect": {"model": "tiny", "limit": None, "alpha": 0.5},
}


def notebook(*sources):
    cells = [v4.new_code_cell(source, metadata={"tags": ["parameters"]}) for source in sources]
    return v4.new_notebook(cells=[v4.new_code_cell("import os"), *cells])


def test_parameter_defaults_reads_plain_literals():
    source = "# a comment\nn: int = 3\nalpha = -0.5\nlayers = (1, 2)  # blocks\nlimit = None"
    expected = {"n": 3, "alpha": -0.5, "layers": [1, 2], "limit": None}
    assert parameter_defaults(notebook(source)) == expected


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "0 cells are tagged"),
        (["a = 1", "b = 2"], "2 cells are tagged"),
        (["a = len('x')"], "no plain literal in `a = len"),
        (["a = {1, 2}"], "no plain literal"),
        (["import os"], "may only hold"),
        (["a = b = 1"], "may only hold"),
        (["n: int"], "no plain literal"),
        (["n += 1"], "may only hold"),
        (["%matplotlib inline"], "not plain Python"),
    ],
)
def test_parameter_defaults_refuses_anything_else(sources, message):
    with pytest.raises(ValueError, match=message):
        parameter_defaults(notebook(*sources))


def test_section_beats_common_and_override_beats_both():
    profile = {"common": {"model": "big", "seed": 1}, "01_build": {"seed": 2, "layers": [5]}}
    resolved = resolve(profile, DEFAULTS, {"alpha": 1})
    assert resolved["01_build"] == {"model": "big", "layers": [5], "seed": 2}
    assert resolved["02_inspect"] == {"model": "big", "alpha": 1}
    assert resolve(profile, DEFAULTS, {"seed": 9}, ["01_build"])["01_build"]["seed"] == 9


@pytest.mark.parametrize(
    ("profile", "overrides", "selected", "message"),
    [
        ({"common": {"modle": "x"}}, {}, None, "unknown parameter 'modle' in common"),
        ({"01_build": {"alpha": 1.0}}, {}, None, "unknown parameter 'alpha' in 01_build"),
        ({"03_none": {}}, {}, None, "section '03_none'"),
        ({}, {"alpha": 1.0}, ["01_build"], "unknown parameter 'alpha' in -p"),
        ({}, {"layers": 3}, None, "'layers' of 01_build is of type list .* 3 is of type int"),
        ({}, {"seed": True}, None, "of type bool"),
        ({"common": {"seed": "0"}}, {}, None, "of type str"),
    ],
)
def test_a_name_or_type_the_notebooks_lack_is_an_error(profile, overrides, selected, message):
    with pytest.raises(ValueError, match=message):
        resolve(profile, DEFAULTS, overrides, selected)


def test_a_default_of_none_takes_any_value():
    assert resolve({}, DEFAULTS, {"limit": 7})["02_inspect"] == {"limit": 7}
    assert resolve({}, DEFAULTS, {"model": None})["01_build"] == {"model": None}


def test_load_profile_names_the_known_ones(tmp_path):
    folder = tmp_path / "notebooks" / "profiles"
    folder.mkdir(parents=True)
    (folder / "cpu.yaml").write_text("common: {n: 1}\n01_build: {layers: [1]}\n")
    (folder / "flat.yaml").write_text("n: 1\n")
    (folder / "list.yaml").write_text("- n\n")
    assert load_profile(tmp_path, "cpu") == {"common": {"n": 1}, "01_build": {"layers": [1]}}
    with pytest.raises(ValueError, match="no profile 'gpu'; known profiles: cpu, flat, list"):
        load_profile(tmp_path, "gpu")
    with pytest.raises(ValueError, match="section 'n' of profile flat"):
        load_profile(tmp_path, "flat")
    with pytest.raises(ValueError, match="profile list must map"):
        load_profile(tmp_path, "list")


def test_no_notebooks_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="source checkout"):
        find_notebooks(tmp_path)
