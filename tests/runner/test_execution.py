"""Tests of epkit.runner.execution; how a run goes on and fails is in test_run.py."""

import pytest

from epkit.runner import execution


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (62, "1:02"), (3723, "1:02:03")]
)
def test_clock(seconds, text):
    assert execution.clock(seconds) == text
