"""Tests of epkit.benchmark: that it runs through and prints every comparison."""

import re

import pytest
from tiny_models import tiny_llama

from epkit import benchmark

TEXTS = [f"{n} and {n * n} are what {n % 7} of them said, {n // 3} times" for n in range(60)]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(benchmark, "load_model", lambda name, source: tiny_llama())
    monkeypatch.setattr(benchmark, "load_corpus", lambda name, source: TEXTS)


def test_every_comparison_is_printed(tiny, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "_peak", lambda n: n / 100)
    cold_start = benchmark._cold_start
    monkeypatch.setattr(benchmark, "_cold_start", lambda: cold_start(1))
    benchmark.main(["-n", "1500", "--layers", "1", "2", "--percentiles", "5", "10"])
    out = capsys.readouterr().out
    assert re.search(
        r"cold start: import epkit \d+\.\d\d s beyond .*; first partial_fit .* ms", out
    )
    assert "forward pass alone: 1,500 activations" in out
    assert out.count("x the bare product") == 2
    assert "x the forward pass alone" in out
    assert "200,000 synthetic activations: 2,000 MB" in out


def test_the_synthetic_stream_has_as_many_regions_at_every_length():
    assert [len(benchmark._build_synthetic(n)) for n in (8_000, 16_000)] == [500, 500]
