"""The scaling study where activations lie on another device: the same pass, the same rounds."""

import numpy as np
import pytest
from conftest import mixture

import epkit
from epkit.studies.scaling.passes import pass_over
from epkit.studies.scaling.tables import rounds_table

pytestmark = pytest.mark.slow

X = mixture(1500, 8)


def test_a_pass_is_the_same_on_another_device(far):
    calibration = epkit.calibrate(X, [8])
    here, there = (pass_over(X.to(d), calibration, 8, d) for d in ("cpu", far))
    for name in ("founded", "first", "region"):
        assert np.array_equal(getattr(here, name), getattr(there, name))
    rounds = [rounds_table(X.to(d), calibration.centre.to(d), here, 2) for d in ("cpu", far)]
    assert rounds[0].equals(rounds[1])
