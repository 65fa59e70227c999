"""Clustering on many machines with the bytes of one, on Ray (`pip install "epkit[scale]"`)."""

from epkit.scale.cluster import cluster

__all__ = ["cluster"]
