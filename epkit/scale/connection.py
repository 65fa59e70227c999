"""Ray: imported with a sentence where it is missing, and connected to for a while.

Does not know: what runs on it.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Ray gives up workers that take a minute to start, and starts others: for ever, if it is busy.
os.environ.setdefault("RAY_worker_register_timeout_seconds", "300")

try:
    import ray
    import ray.exceptions
except ImportError as error:
    raise ModuleNotFoundError(
        'epkit.scale needs Ray, which is not installed: pip install "epkit[scale]"'
    ) from error


@contextmanager
def connected(cpus: int | None = None) -> Iterator[None]:
    """Ray: the one connected to, else that of RAY_ADDRESS, else one of this machine for a while.

    cpus : that the cluster must have; a Ray of this machine gets as many, by default all there are.
    Raises ValueError where a cluster has fewer.
    """
    ours = not ray.is_initialized()
    if ours:
        address = os.environ.get("RAY_ADDRESS", "local")
        local = {"num_cpus": cpus, "include_dashboard": False} if address == "local" else {}
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        there = int(ray.cluster_resources().get("CPU", 0))
        if there < (cpus or 0):
            raise ValueError(f"workers is {cpus}, but the Ray cluster has {there} CPUs")
        yield
    finally:
        if ours:
            ray.shutdown()
