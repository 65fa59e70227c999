"""What notebook 00 shows is text and no control, and its panels answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from region_examples import (
    HOSTILE,
    IMAGE,
    SCRIPT,
    Elements,
    WordTokenizer,
    built_atlas,
    example_dictionary,
)

from epkit.inspect.regions import Regions
from epkit.studies.first_look import panels, reading, views
from epkit.studies.first_look.game import draw_rounds
from epkit.studies.first_look.reading import Edited, edit_text
from epkit.studies.first_look.shipped import EP, FACTS, RANDOM, Look
from epkit.studies.first_look.walk import walk

PLAIN = {"div", "span", "bdo", "mark", "details", "summary", "img", "b", "small"}
NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "00_look.ipynb"


def look_of(regions, n, **given):
    rng = np.random.default_rng(0)
    groups = {kind: rng.integers(0, n, (30, 8)) for kind in (EP, RANDOM)}
    return Look(regions, groups, rng.random((len(regions), 2)), 1.0, **given)


@pytest.fixture
def look():
    regions = Regions(example_dictionary(), WordTokenizer())
    for k, text in enumerate(HOSTILE):
        regions.rename(k, f"x{text}")
    return look_of(regions, 3900)


@pytest.fixture(scope="module")
def tiny():
    model, atlas = built_atlas()
    facts = FACTS | {"layer": 1}
    return look_of(Regions(atlas[1, 5], model), 800, facts=facts, loaded=model)


def test_no_text_is_an_element(look):
    stops = walk(look.regions)
    page = views.walk_html(look.regions, stops) + views.map_html(look, 0)
    page += "".join(views.region_html(look.regions, k) for k in range(len(look.regions)))
    page += views.game_html(look.regions, draw_rounds(look))
    found = Elements(page)
    assert found.tags <= PLAIN
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert f"x{IMAGE}" in found.text
    assert "\u202e" not in page
    edits = Elements(views.edits_html(SCRIPT, [Edited(IMAGE, SCRIPT)]))
    assert edits.tags == {"table", "tr", "th", "td", "mark"}
    assert edits.text == f"{IMAGE}{SCRIPT}{SCRIPT}"


def test_a_sentence_has_a_name_under_every_token(tiny):
    trace = reading.read_sentence(tiny, "The cat sat")
    page = Elements(views.sentence_html(tiny.regions, trace))
    assert page.tags == {"div", "span", "b", "small"}
    for region in trace.region[0][trace.clustered].tolist():
        assert views.visible(tiny.regions.names[region], 40) in page.text


def test_a_typed_sentence_is_read_and_a_bad_one_is_answered(tiny):
    box, out = panels.sentence_panel(tiny).children
    box.value = "The cat sat"
    assert out.value == views.sentence_html(
        tiny.regions, reading.read_sentence(tiny, "The cat sat")
    )
    box.value = "cat " * 200
    assert "shorten it" in out.value


def test_edits_are_shown_before_and_after(tiny):
    found = reading.edits_compared(tiny, 0, "The cat")
    assert [e.what.split()[0] for e in found] == ["as", "region", "pushed", "control:"]
    head, _, out = panels.edit_panel(tiny, [0, 1], "The cat").children
    head.children[-1].click()
    assert out.value == views.edits_html("The cat", found)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("aaaa", "No edit changes the text."),
        ("abba", "The text changes by taking it out, pushing to it; not by the control."),
        ("abcd", "The text changes by taking it out, pushing to it, the control."),
    ],
)
def test_what_edits_changed_is_said(texts, said):
    assert edit_text([Edited("", text) for text in texts]) == said


def test_a_game_is_played_to_its_end(look):
    game = panels.GamePanel(look, 3)
    assert len(game.row.children) == 1
    game.start(seed=1)
    for i, shown in enumerate(game.rounds):
        assert f"Round {i + 1} of 3" in game.said.value
        game.answers[shown.kind].click()
    assert "3 of 3 right" in game.said.value
    game.answer(EP)  # a late click counts no more
    assert game.played == 3
    game.again.click()
    assert (game.right, game.played) == (0, 0)
    wrong = {EP: RANDOM, RANDOM: EP}[game.rounds[0].kind]
    game.answer(wrong)
    assert "Wrong" in game.said.value
    assert game.right == 0


def test_at_most_fifteen_lines_of_the_notebook_are_seen():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    seen = [
        line
        for cell in cells
        if cell["cell_type"] == "code" and not cell["metadata"].get("jupyter")
        for line in "".join(cell["source"]).splitlines()
        if line.strip() and not line.startswith("#")
    ]
    assert len(seen) <= 15
