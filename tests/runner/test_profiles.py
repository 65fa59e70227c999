"""Profiles: which parameters a notebook gets, and the errors for names and types it lacks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from epkit.runner.profiles import (
    find_notebooks,
    load_profile,
    parameter_defaults,
    parse,
    plain,
    resolve,
)

DEFAULTS = {
    "01_build": {"model": "tiny", "layers": [1, 2], "seed": 0},
    "02_inspect": {"model": "tiny", "limit": None, "alpha": 0.5},
}


def notebook(*sources):
    cells = [v4.new_code_cell(source, metadata={"tags": ["parameters"]}) for source in sources]
    return v4.new_notebook(cells=[v4.new_code_cell("import os"), *cells])


def test_parameter_defaults_reads_plain_literals():
    source = "# a comment\ns = 'a = b # c'\n"
    source += "n: int = 3\nalpha = -0.5\nlayers = (1, 2)  # blocks\nlimit = None"
    expected = {"s": "a = b # c", "n": 3, "alpha": -0.5, "layers": [1, 2], "limit": None}
    assert parameter_defaults(notebook(source)) == expected


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "0 cells are tagged"),
        (["a = 1", "b = 2"], "2 cells are tagged"),
        (["a = len('x')"], "no plain literal in `a = len"),
        (["a = {1, 2}"], "no plain literal"),
        (["a = b'x'"], "no plain literal"),
        (["a = {1: 2}"], "no plain literal"),
        (["a = 1e999"], "no plain literal"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "profile odd is not UTF-8 text"),
        (b"common: {n: [1, 2}", "profile odd is not YAML: while parsing"),
        (b"common: {n: 2024-01-01}", r"profile odd: datetime.date.* is a date that JSON"),
        (b"common: {n: !!binary aGk=}", "profile odd: b'hi' is a bytes"),
        (b"common: {n: !!set {a, b}}", "is a set that JSON"),
        (b"common: {n: !!timestamp 2024-13-01}", "profile odd: month must be in"),
        (b"1: {n: 2}", "is a dict that JSON"),
        (b"common: {n: " + b"[" * 3_000, "profile odd: nested deeper"),
        (b"common: &a {n: *a}", "profile odd: nested deeper"),
        (b"common: !!python/name:os.system", "profile odd is not YAML: could not determine"),
        (b"common: {n: \x00}", "profile odd is not YAML"),
        (b"null: {n: 1}", "is a dict that JSON"),
        (b"7", "profile odd must map"),
        (b"false", "profile odd must map"),
    ],
)
def test_a_profile_of_any_other_kind_is_one_sentence(tmp_path, content, message):
    folder = tmp_path / "notebooks" / "profiles"
    folder.mkdir(parents=True)
    (folder / "odd.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message) as said:
        load_profile(tmp_path, "odd")
    assert "\n" not in str(said.value)


def test_a_few_lines_of_yaml_do_not_become_billions_of_values():
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 7)]
    with pytest.raises(ValueError, match="over 10,000 values"):
        parse("\n".join(laughs), "-p x")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner),
    max_leaves=5,
)
ODD = st.sampled_from(
    [b"x", {1}, 1j, float("nan"), float("inf"), {1: 2}, {None: 1}, object, "\ud800"]
)


@given(JSON)
def test_what_json_holds_passes_as_it_is(value):
    assert plain(value, "here") == json.loads(json.dumps(value)) == value


@given(JSON, ODD)
def test_anything_else_is_refused_wherever_it_stands(value, odd):
    for held in (odd, [value, odd], {"a": [odd, value]}, {"a": value, "b": {"c": odd}}):
        with pytest.raises(ValueError, match=r"^here: .* that JSON cannot hold"):
            plain(held, "here")


def test_no_notebooks_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="source checkout"):
        find_notebooks(tmp_path)
