"""Soundness: a file whose checksum is right and whose content is not is refused, field by field."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from region_examples import WORDS, example_dictionary

import epkit
from epkit.files import write_tensors
from epkit.members import KINDS
from epkit.soundness import FIELDS, MEMBER_FIELDS, check_dictionary

K, DIM = 6, 5
TERMINAL = ["\x1b[2J", "\x07", "\x08", "\r", "\x7f", "\x9b1m", "\x00"]


def sound():
    """(tensors, about) of a file that `load` takes."""
    d = example_dictionary(k=K, n=200, dim=DIM)
    tensors = {k: v.clone() for k, v in d._tensors().items()}
    tensors["counts"][0] = 3  # so that members are missing
    for kind in KINDS:
        tensors[f"members.{kind}_index"][0, 3:] = -1
        tensors[f"members.{kind}_distance"][0, 3:] = math.nan
    metadata = {"layer": 1, "n_activations": 4 * 49, "vocab_size": len(WORDS)}
    metadata["deep"] = {"er": [1, None]}
    return tensors, {"format": 1, "threshold": 0.6, "metadata": metadata}


def deep(levels):
    value = []
    for _ in range(levels - 2):
        value = [value]
    return {"x": value}


def layouts():
    """Every tensor absent, of another dtype, another number of axes, cut and lengthened."""
    for name, (dtype, letters) in (FIELDS | MEMBER_FIELDS).items():
        other = torch.float64 if dtype != torch.float64 else torch.float32
        yield name, lambda t, name=name: t.pop(name)
        yield name, lambda t, name=name, d=other: t.update({name: t[name].to(d)})
        yield name, lambda t, name=name: t.update({name: t[name][None]})
        if letters != "W":  # the only one of its size; the sum of what is left is then wrong
            match = "exemplars|means|counts|members|centre|" + name
            yield match, lambda t, name=name: t.update({name: t[name][:-1]})
            yield match, lambda t, name=name: t.update({name: torch.cat([t[name], t[name][-1:]])})
        yield name, lambda t, name=name: t.update({name: t[name][:0]})
    yield "surplus", lambda t: t.update(surplus=torch.zeros(3))
    yield "members.surplus", lambda t: t.update({"members.surplus": torch.zeros(3)})


def values():
    """(field, place, value) that a tensor may not have there."""
    for name, (dtype, letters) in FIELDS.items():
        if dtype == torch.float32:
            for bad in (math.nan, math.inf, -math.inf):
                for at in (0, -1):
                    yield name, (at,) * len(letters), bad
    yield from ((name, (2,), 0.0) for name in ("exemplars", "means"))
    yield from (("coherence", (2,), bad) for bad in (-0.01, 1.01, 3e38))
    yield from (("counts", (2,), bad) for bad in (-1, -(2**63), 2**63 - 1, 2**60))
    yield "counts", (...,), 0
    yield from (("exemplar_index", (0,), bad) for bad in (-1, -(2**63), 195))
    yield from (("exemplar_index", (-1,), bad) for bad in (0, 196, 2**62))
    yield from (("distance_mean", (2,), bad) for bad in (-0.01, 2.01))
    yield from (("distance_std", (2,), bad) for bad in (-0.01, 1.01))
    yield from (("members.tokens", (3,), bad) for bad in (-1, -(2**31), len(WORDS), 2**31 - 1))
    yield from (("members.lengths", (1,), bad) for bad in (0, -1, -50, 49, 51, 2**31 - 1))
    yield "members.clustered", (...,), False
    for kind in KINDS:
        yield from ((f"members.{kind}_index", (2, 0), bad) for bad in (-2, 196, 2**62, -(2**63)))
        yield f"members.{kind}_index", (2, 0), -1  # and members after it
        yield f"members.{kind}_index", (0, 7), 0  # where the region has no more
        for bad in (math.nan, math.inf, -math.inf, -0.1, 2.1):
            yield f"members.{kind}_distance", (2, 1), bad
        yield f"members.{kind}_distance", (0, 7), 0.5
    yield "members.closest_distance", (2, 0), 1.9
    yield "members.farthest_distance", (2, 0), 0.0


def changes():
    """(sentence, change of the tensors and of what stands beside them)."""
    for match, change in layouts():
        yield match, lambda t, a, change=change: change(t)
    for name, at, bad in values():
        yield name, lambda t, a, name=name, at=at, bad=bad: t[name].__setitem__(at, bad)
    for name in ("exemplars", "means"):
        for scale in (1.001, 1 - 2e-4, -1.01, 1e30):
            yield name, lambda t, a, name=name, scale=scale: t[name][1].mul_(scale)
    yield "exemplar_index", lambda t, a: t.update(exemplar_index=t["exemplar_index"].flip(0))
    for bad in (math.nan, math.inf, -math.inf, 0, -0.1, 2.1, 1e300, "0.5", None, True, [0.5], {}):
        yield "threshold", lambda t, a, bad=bad: a.update(threshold=bad)
    yield "threshold", lambda t, a: a.pop("threshold")
    yield "metadata", lambda t, a: a.pop("metadata")
    for bad in (None, [], "text", 3, True, deep(65), deep(300), {"x": deep(64)}):
        yield "metadata", lambda t, a, bad=bad: a.update(metadata=bad)
    for text in ("\ud800", "a\udfffb", *TERMINAL):
        for bad in ({text: 1}, {"corpus": text}, {"x": [{"y": [text]}]}):
            yield "metadata", lambda t, a, bad=bad: a.update(metadata=bad)
    for bad in (math.nan, math.inf, [-math.inf]):
        yield "metadata", lambda t, a, bad=bad: a["metadata"].update(error=bad)
    for name in ("n_activations", "vocab_size"):
        for bad in (-1, 0, 1.5, "60", True, None, [60], 2**60, 10**30):
            yield name, lambda t, a, n=name, bad=bad: a["metadata"].update({n: bad})
    yield "exemplar_index", lambda t, a: a["metadata"].update(n_activations=5)
    yield "members.tokens", lambda t, a: a["metadata"].update(vocab_size=5)
    for bad in (None, 0, 2, "1", True, 1.0, [1]):
        yield "format", lambda t, a, bad=bad: a.update(format=bad)
    yield "surplus", lambda t, a: a.update(surplus=1)


CHANGES = list(changes())


def test_there_are_many_ways_to_be_unsound():
    assert len(CHANGES) >= 250


@pytest.mark.parametrize(("said", "change"), CHANGES)
def test_an_unsound_file_is_refused_in_one_sentence(tmp_path, said, change):
    tensors, about = sound()
    change(tensors, about)
    write_tensors(tmp_path / "d.safetensors", tensors, about)
    with pytest.raises(ValueError, match=rf"d\.safetensors is not a .*({said})") as error:
        epkit.Dictionary.load(tmp_path / "d.safetensors")
    text = str(error.value)
    assert text.isprintable()
    assert len(text) - len(str(tmp_path)) < 300


@pytest.mark.parametrize("about", [None, [], "text", 3, {}])
def test_what_is_no_dictionary_is_refused(tmp_path, about):
    write_tensors(tmp_path / "d.safetensors", sound()[0], about)
    with pytest.raises(ValueError, match="not a dictionary of format 1"):
        epkit.Dictionary.load(tmp_path / "d.safetensors")


def test_the_file_all_changes_start_from_is_sound(tmp_path):
    write_tensors(tmp_path / "d.safetensors", *sound())
    assert len(epkit.Dictionary.load(tmp_path / "d.safetensors")) == K


def test_what_is_not_sound_is_not_saved(tmp_path):
    d = example_dictionary(k=K, n=200, dim=DIM)
    d.counts[2] = -1
    for ask in (d.checked, lambda: d.save(tmp_path / "d.safetensors")):
        with pytest.raises(ValueError, match="counts must be at least 0, got -1 at"):
            ask()
    assert not list(tmp_path.iterdir())


def test_indices_of_another_stream_are_sound_once_recounted():
    tensors = {k: v for k, v in sound()[0].items() if k in FIELDS}
    tensors["counts"] = torch.ones_like(tensors["counts"])
    check_dictionary(tensors, 0.6, {"recounted": True})
    with pytest.raises(ValueError, match="exemplar_index must be below 6"):
        check_dictionary(tensors, 0.6, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=("Cs", "Cc"))), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    k=st.integers(1, 12), dim=st.integers(1, 6), seed=st.integers(0, 2**30),
    threshold=st.floats(1e-300, 2), members=st.booleans(),
    metadata=st.dictionaries(st.sampled_from(["model", "é\n\t", "x"]), json_values),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_is_sound_loads_bit_equal(
    tmp_path_factory, k, dim, seed, threshold, members, metadata
):
    d = example_dictionary(k=k, n=200, dim=dim, seed=seed)
    metadata = copy.deepcopy(metadata) | {"n_activations": 4 * 49}
    d = epkit.Dictionary(**vars(d) | {"threshold": threshold, "metadata": metadata})
    if not members:
        d = epkit.Dictionary(**vars(d) | {"members": None, "metadata": metadata | {"recounted": 1}})
    path = d.save(tmp_path_factory.getbasetemp() / "sound.safetensors")
    back = epkit.Dictionary.load(path)
    assert back.threshold == threshold
    assert back.metadata == d.metadata
    assert (back.members is None) == (not members)
    for name, value in d._tensors().items():
        other = back._tensors()[name]
        assert value.dtype == other.dtype
        assert value.numpy().tobytes() == other.numpy().tobytes(), name
