"""Token text in pictures, whatever it is, and where labels stand."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from plot_examples import HOSTILE

from epkit.plots.labels import drawable, place_labels


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_can_be_drawn_and_is_no_formula(text):
    figure, ax = plt.subplots()
    drawn = ax.text(0.5, 0.5, drawable(text))
    ax.set_xticks([0.5], [drawable(text)])
    assert not drawn._preprocess_math(drawable(text))[1]
    figure.canvas.draw()


def test_what_text_becomes():
    assert drawable(" the") == "␣the"
    assert drawable("a b ") == "a b␣"
    assert drawable("  ") == "␣␣"
    assert drawable("x\n\t") == "x⏎⇥"
    assert drawable("漢\x00") == "□·"
    assert drawable("\ufffd") == "\ufffd"
    assert drawable("$a$") == r"\$a\$"
    assert drawable("abcdefghij", limit=5) == "abcd…"
    assert drawable("naïve Ж") == "naïve Ж"


def test_labels_do_not_lie_on_one_another():
    figure, ax = plt.subplots(figsize=(6, 6), layout="constrained")
    points = np.random.default_rng(0).normal(0.5, 0.05, size=(12, 2))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(ax, points, ["label number"] * len(points))
    figure.canvas.draw()
    boxes = [matplotlib.text.Text.get_window_extent(t) for t in ax.texts]
    assert len(boxes) == 12
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)


def test_a_lone_label_stands_at_its_point():
    figure, ax = plt.subplots()
    place_labels(ax, np.array([[0.5, 0.5]]), ["x"])
    figure.canvas.draw()
    box = matplotlib.text.Text.get_window_extent(ax.texts[0])
    x, y = ax.transData.transform((0.5, 0.5))
    assert abs(box.x0 - x) < 15
    assert abs((box.y0 + box.y1) / 2 - y) < 15
