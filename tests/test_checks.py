"""Checks of arguments: what passes, and that what does not gets one sentence with the value."""

import math

import numpy as np
import pytest
import torch

from epkit import checks


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_of_every_kind_are_whole(value):
    assert checks.whole("n", value) == 3
    assert type(checks.whole("n", value)) is int


@pytest.mark.parametrize("value", [True, 3.0, "3", None, math.nan, [3], np.float32(3)])
def test_what_is_no_whole_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="n must be a whole number, got"):
        checks.whole("n", value)


@pytest.mark.parametrize(("value", "span"), [(0, "in 1 … 5"), (6, "in 1 … 5")])
def test_whole_numbers_out_of_range(value, span):
    with pytest.raises(ValueError, match=f"n must be {span}, got int {value}"):
        checks.whole("n", value, 1, 5)


def test_numbers_in_open_and_closed_ranges():
    assert checks.number("p", np.float32(0.5), 0, 1) == 0.5
    assert checks.number("p", 0, 0, 1) == 0
    with pytest.raises(ValueError, match=r"p must be a finite number in \(0, 1\)"):
        checks.number("p", 0, 0, 1, open_low=True, open_high=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value):
    with pytest.raises(ValueError, match="finite"):
        checks.number("p", value)


@pytest.mark.parametrize("value", [True, "1", None, [1.0], 1j])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="p must be a number"):
        checks.number("p", value)


def test_one_of_a_few_words():
    assert checks.one_of("kind", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="kind must be one of a, b, got 'c'"):
        checks.one_of("kind", "c", ("a", "b"))
    with pytest.raises(TypeError, match="kind must be one of"):
        checks.one_of("kind", 1, ("a", "b"))


def test_several_wants_a_list_with_something_in_it():
    assert checks.several("layers", (1, 2)) == [1, 2]
    for lone in (1, "12", None):
        with pytest.raises(TypeError, match="layers must be a list"):
            checks.several("layers", lone)
    with pytest.raises(ValueError, match="layers is empty"):
        checks.several("layers", [])


def test_devices():
    assert checks.device("cpu") == torch.device("cpu")
    assert checks.device(None).type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="got str 'gpu'"):
        checks.device("gpu")
    with pytest.raises(TypeError, match="device must be"):
        checks.device(3)


def test_long_values_are_cut():
    with pytest.raises(TypeError) as error:
        checks.whole("n", "x" * 1000)
    assert len(str(error.value)) < 120
