"""Every argument of the method's functions against every kind of wrong value.

A call works, or raises ValueError or TypeError with one line that names the argument. Never
anything else, and never a page of text.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import mixture
from region_examples import example_dictionary

import epkit
from epkit import controls, interventions, matching, readouts
from epkit.members import MemberCollector

D, K = 5, 6
X = mixture(40, D)
DICTIONARY = example_dictionary(k=K, n=200, dim=D)
MEMBERS = DICTIONARY.members
REGIONS = torch.arange(40) % K
TABLE = matching.contingency(REGIONS, REGIONS.flip(0), K, K)
MATCHING = matching.match(DICTIONARY, DICTIONARY)
V, C = X[0], X[1]
ON = {"dictionary": DICTIONARY, "x": X}
CALIBRATION = epkit.calibrate(X, [10])
LEADERS = {"centre": CALIBRATION.centre, "threshold": CALIBRATION.thresholds[10]}

CALLS = {
    "calibrate": (
        epkit.calibrate,
        {
            "x": X, "percentiles": [10], "centre": 0.5 * C, "max_rows": 30, "seed": 0,
            "device": "cpu",
        },
    ),
    "LeaderClustering": (
        epkit.LeaderClustering, LEADERS | {"device": "cpu", "precision": "single"}
    ),
    "LeaderClustering.partial_fit": (
        lambda x: epkit.LeaderClustering(**LEADERS).partial_fit(x), {"x": X}
    ),
    "partition": (
        epkit.partition,
        {
            "x": X, "percentiles": [10], "centre": 0.5 * C, "order": 0, "recount": True, "seed": 0,
            "device": "cpu",
        },
    ),
    "partition with a calibration": (
        epkit.partition, {"x": X, "percentiles": [10], "calibration": CALIBRATION}
    ),
    "Dictionary.assign": (DICTIONARY.assign, {"x": X}),
    "Dictionary.distances": (DICTIONARY.distances, {"x": X}),
    "Dictionary.directions": (DICTIONARY.directions, {"x": X}),
    "Dictionary.recount": (DICTIONARY.recount, {"x": X}),
    "Dictionary.refine": (DICTIONARY.refine, {"x": X, "rounds": 1}),
    "Dictionary.growth": (DICTIONARY.growth, {"points": 10}),
    "Dictionary.saturated_at": (DICTIONARY.saturated_at, {"window": 10}),
    "Dictionary.to": (DICTIONARY.to, {"device": "cpu"}),
    "Members.of": (MEMBERS.of, {"region": 0, "kind": "closest"}),
    "Members.token_of": (MEMBERS.token_of, {"index": torch.tensor([0, 3])}),
    "Members.context": (MEMBERS.context, {"index": 3, "width": 4}),
    "MemberCollector": (MemberCollector, {"seed": 0, "device": "cpu"}),
    "random_dictionary": (
        controls.random_dictionary, {"like": DICTIONARY, "x": X, "seed": 0, "recount": True}
    ),
    "matched_regions": (
        controls.matched_regions, {"dictionary": DICTIONARY, "region": 0, "n": 1, "exclude": [2]}
    ),
    "ablate": (interventions.ablate, {"directions": X[:2], "centre": C, "layers": [3]}),
    "steer": (
        interventions.steer, {"direction": V, "alpha": 0.5, "norm": 3.0, "layers": [3]}
    ),
    "swap": (interventions.swap, {"source": V, "target": X[2], "centre": C, "layers": [3]}),
    "chain": (lambda edits: interventions.chain(edits), {"edits": interventions.ablate(V, C, [3])}),
    "typical_norm": (interventions.typical_norm, {"x": X}),
    "orthonormal": (interventions.orthonormal, {"directions": X[:2]}),
    "signed": (readouts.signed, ON | {"basis": "mean"}),
    "cosine": (readouts.cosine, ON | {"basis": "mean"}),
    "distance": (readouts.distance, ON | {"basis": "mean"}),
    "one_hot": (readouts.one_hot, ON | {"basis": "mean"}),
    "top_k": (
        readouts.top_k, ON | {"k": 2, "basis": "mean", "of": "signed", "normalise": False}
    ),
    "otsu_cut": (readouts.otsu_cut, ON | {"basis": "mean", "bins": 16}),
    "decode": (
        readouts.decode, {"dictionary": DICTIONARY, "f": torch.rand(3, K), "basis": "mean"}
    ),
    "otsu_thresholds": (readouts.otsu_thresholds, {"values": X, "bins": 16}),
    "row_histograms": (readouts.row_histograms, {"values": X, "bins": 16}),
    "cosines": (
        matching.cosines,
        {"a": DICTIONARY, "b": DICTIONARY, "basis": "mean", "across_centres": False},
    ),
    "match": (
        matching.match,
        {"a": DICTIONARY, "b": DICTIONARY, "basis": "mean", "across_centres": False},
    ),
    "Matching.persisted": (MATCHING.persisted, {"cutoff": 0.5}),
    "Matching.dropped": (MATCHING.dropped, {"cutoff": 0.5}),
    "Matching.introduced": (MATCHING.introduced, {"cutoff": 0.5}),
    "noise_cutoff": (matching.noise_cutoff, {"floor": [MATCHING], "quantile": 0.1}),
    "contingency": (
        matching.contingency, {"region_a": REGIONS, "region_b": REGIONS, "k_a": K, "k_b": K}
    ),
    "adjusted_mutual_information": (
        matching.adjusted_mutual_information, {"region_a": REGIONS, "region_b": REGIONS}
    ),
    "jaccard": (matching.jaccard, {"table": TABLE}),
    "fates": (matching.fates, {"table": TABLE}),
    "between": (matching.between, {"dictionary": DICTIONARY, "a": 0, "b": 1, "basis": "mean"}),
}  # fmt: skip

# `x` is called what the door of activations calls it.
NAMES = {"x": "x |activation", "percentiles": "percentile", "order": "order|rows"}

WRONG = {
    "None": None, "True": True, "nan": math.nan, "infinite": math.inf, "zero": 0, "-1": -1,
    "huge": 10**30, "-huge": -(10**30), "2.5": 2.5, "complex": 1j, "numpy integer": np.int64(2),
    "numpy float": np.float32(0.5), "numpy bool": np.True_, "numpy nan": np.float64(math.nan),
    "text": "text", "no text": "", "two lines": "a\nb", "long text": "x" * 10_000, "bytes": b"x",
    "[]": [], "[None]": [None], "[True]": [True], "['a']": ["a"], "[-1]": [-1], "[nan]": [math.nan],
    "[[1]]": [[1]], "{}": {}, "{1: 2}": {1: 2}, "object": object(), "class": int, "range": range(3),
    "generator function": iter, "tensor without axes": torch.tensor(2),
    "nan without axes": torch.tensor(math.nan), "empty tensor": torch.zeros(0),
    "no rows": torch.zeros(0, D), "no columns": torch.zeros(3, 0), "3 axes": torch.zeros(2, 3, D),
    "zeros": torch.zeros(3, D), "nan rows": torch.full((3, D), math.nan),
    "infinite rows": torch.full((3, D), math.inf), "integers": torch.ones(3, D, dtype=torch.int64),
    "too wide": torch.ones(3, D + 1), "lone row": torch.ones(D), "bool tensor": X > 0,
    "complex tensor": X.to(torch.complex64), "negative integers": -torch.ones(4).long(),
    "large integers": torch.full((4,), 2**62),
    "beyond float32": torch.full((3, D), 1e300, dtype=torch.float64),
    "integer array": np.ones((3, D), dtype=np.int64), "array without axes": np.array(3),
}  # fmt: skip

# What only the door of arrays has to tell apart.
ODD = {
    "sparse": torch.eye(D).to_sparse(), "csr": torch.eye(D).to_sparse_csr(),
    "objects": np.array([[1, "a"], [None, 2]], dtype=object), "object rows": np.array([None] * D),
    "text array": np.array([["a"] * D]), "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "big-endian": np.ones((3, D), dtype=">f4"), "quad": np.ones((3, D), dtype=np.longdouble),
}  # fmt: skip


def cases():
    for name, (_, arguments) in CALLS.items():
        for argument in arguments:
            yield name, argument


@pytest.mark.filterwarnings("ignore::UserWarning")  # csr is beta; an array may not be writable
@pytest.mark.parametrize(("name", "argument"), list(cases()))
def test_a_wrong_argument_is_named_in_one_line(name, argument):
    call, good = CALLS[name]
    for kind, value in (WRONG | ODD).items():
        try:
            call(**good | {argument: value})
        except (ValueError, TypeError) as error:
            said = str(error)
            words = NAMES.get(argument, argument).split("|")
            assert any(word in said for word in words), f"{argument} = {kind}: {said}"
            assert "\n" not in said, f"{argument} = {kind}: {said}"
            assert len(said) <= 400, f"{argument} = {kind}: {said}"
        except Exception as error:
            pytest.fail(f"{argument} = {kind}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("name", CALLS)
def test_the_call_works_as_it_stands(name):
    call, good = CALLS[name]
    call(**good)


@pytest.mark.parametrize(("name", "argument"), list(cases()))
def test_numpy_scalars_are_what_they_hold(name, argument):
    call, good = CALLS[name]
    value = good[argument]
    kinds = {bool: [np.bool_], int: [np.int64, np.uint8], float: [np.float32, np.float64]}
    for kind in kinds.get(type(value), []):
        call(**good | {argument: kind(value)})


@pytest.mark.parametrize("path", [None, 3, True, math.nan, [], b"a", "", "a\0b", object()])
def test_paths(path):
    for ask in (DICTIONARY.save, epkit.Dictionary.load):
        with pytest.raises((ValueError, TypeError), match="path"):
            ask(path)


@pytest.mark.parametrize("value", [None, "0.5", True, math.nan, 0, 3, [0.5], torch.ones(2)])
def test_a_threshold_that_is_none_is_not_checked_sound(value):
    with pytest.raises((ValueError, TypeError), match="threshold"):
        replace(DICTIONARY, threshold=value).checked()
