"""The table of clustering against products: every size a line, what was not measured says so."""

import torch

from epkit import benchmark
from epkit.runner import speed


def test_a_line_for_every_size(monkeypatch, capsys):
    monkeypatch.setitem(speed.SIZES, "cpu", ((8, 20), (64,), 80))
    benchmark.main(["--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["64", "8"], ["64", "20"]]
    assert all(line.count("not measured") == 3 for line in lines[2:])


def test_clustering_and_product_are_measured_on_the_same_rows():
    clustering, single, tf32, half, peak = speed.measure(10, 64, 50, torch.device("cpu"))
    assert clustering > 0
    assert single > 0
    assert (tf32, half, peak) == (None, None, None)


def test_a_card_has_every_column(far):
    found = speed.measure(10, 64, 50, far)
    assert len(found) == 5
    assert None not in found or torch.cuda.get_device_capability(far) < (8, 0)
