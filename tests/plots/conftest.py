"""A small atlas with members; warnings are errors here."""

import warnings

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pytest
from plot_examples import partition


@pytest.fixture(scope="module")
def atlas():
    return {(layer, p): partition(600, 12, p, layer, layer) for layer in (2, 5) for p in (0.5, 4)}


@pytest.fixture(scope="module")
def dictionary(atlas):
    return atlas[2, 0.5]


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")
