"""Ray, started once for all tests."""

import pytest


@pytest.fixture(scope="session")
def ray():
    """Ray on this machine, for three workers."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()
