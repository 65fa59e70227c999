"""The table of clustering against products: every size a line, what was not measured says so."""

import torch

from epkit import benchmark
from epkit.benchmark import products as speed


def test_a_line_for_every_size(monkeypatch, capsys):
    monkeypatch.setitem(speed.SIZES, "cpu", ((8, 20), (64,), 80))
    benchmark.main(["--device", "cpu", "-n", "1200"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[3:5]] == [["64", "8"], ["64", "20"]]
    assert all(line.count("not measured") == 4 for line in lines[3:5])
    assert lines[6].startswith("small-shaped model, random weights, float32, 1,200 activations")
    assert "x the forward pass" in lines[7]
    assert lines[8] == "peak device memory: not measured"


def test_clustering_and_product_are_measured_on_the_same_rows():
    found = speed.measure(10, 64, 50, torch.device("cpu"))
    clustering, single, tf32, half, peak, operations, waits = found
    assert clustering > 0
    assert single > 0
    assert operations > 0
    assert (tf32, half, peak, waits) == (None, None, None, None)


def test_a_card_has_every_column(far):
    found = speed.measure(10, 64, 50, far)
    assert len(found) == 7
    assert found[-1] == 1  # the host waits once a block
    assert None not in found or torch.cuda.get_device_capability(far) < (8, 0)
