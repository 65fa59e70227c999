"""Ray, started once for the tests of this folder."""

import contextlib

import pytest


@pytest.fixture(scope="package")
def ray():
    """Ray on this machine, for three workers; stopped before other tests are timed."""
    ray = pytest.importorskip("ray")
    import epkit.scale.connection  # noqa: F401  (sets how patient Ray is)

    options = {"num_cpus": 3, "include_dashboard": False, "log_to_driver": False}
    with contextlib.suppress(Exception):  # a busy machine may take longer than Ray waits
        ray.init("local", **options)
    if not ray.is_initialized():
        ray.shutdown()
        ray.init("local", **options)
    yield ray
    ray.shutdown()
