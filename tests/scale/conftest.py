"""Ray, started once for the tests of this folder."""

import pytest


@pytest.fixture(scope="package")
def ray():
    """Ray on this machine, for three workers; stopped before other tests are timed."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()
