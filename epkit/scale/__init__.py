"""Clusterings and builds on many machines with the bytes of one, on Ray.

Needs `pip install "epkit[scale]"`.
"""

from epkit.scale.build import build
from epkit.scale.cluster import cluster

__all__ = ["build", "cluster"]
