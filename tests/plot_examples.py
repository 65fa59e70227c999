"""Texts and partitions for the tests of pictures."""

from dataclasses import replace

import torch
from conftest import mixture

import epkit
from epkit.members import MemberCollector

HOSTILE = ["$x^2$", "$$", "a$b", r"\$", "\\frac", "\x00\x07", "漢字", "\u202eabc", "<b>&", "  ", ""]


def partition(n, dim, p, layer, seed=0):
    x = mixture(n, dim, seed)
    cal = epkit.calibrate(x, [p], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[p], device="cpu")
    region, distance = part.fit_directions(epkit.geometry.directions(x, cal.centre))
    collector = MemberCollector()
    collector.update(0, region, distance, part.n_regions)
    tokens = torch.arange(n, dtype=torch.int32)
    members = collector.members(tokens, tokens[:1] + n, tokens >= 0)
    return replace(part.dictionary(layer=layer, percentile=p), members=members)
