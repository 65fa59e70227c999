"""Tests of epkit.progress."""

import pytest

from epkit.progress import progress


def test_outside_a_terminal_one_plain_line_on_stdout(capsys):
    with progress(200, "activations", "build") as update:
        for done in range(50, 201, 50):
            update(done, regions=done // 10)
    out = capsys.readouterr()
    assert out.err == ""
    assert out.out.startswith("build: 100% 200/200")
    assert out.out.count("\n") == 1
    assert "activations/s" in out.out
    assert "regions 20" in out.out


def test_an_amount_that_nobody_knows_is_counted_up(capsys):
    with progress(None, "activations", "cluster") as update:
        update(70)
    assert capsys.readouterr().out.startswith("cluster: 70 [")


def test_an_interruption_leaves_the_last_state(capsys):
    def interrupted():
        with progress(200, "activations", "build") as update:
            update(70)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "70/200" in capsys.readouterr().out


def test_the_rate_of_a_resumed_job_counts_from_where_it_began(capsys, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("epkit.progress.time.monotonic", lambda: next(clock))
    with progress(200, "activations", "build", start=100) as update:
        update(140)
    first = capsys.readouterr().out.splitlines()[0]
    rate = float(first.split("activations/s")[0].split(",")[-1])
    assert rate < 140 / 30


def test_silence(capsys):
    with progress(10, "rows", "x", show=False) as update:
        update(10)
    assert capsys.readouterr().out == ""
