"""Cards say their facts, and texts on them are texts."""

import re
from dataclasses import replace

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

from epkit.inspect.card import card_html, measures
from epkit.inspect.regions import Regions


@pytest.fixture(scope="module")
def hostile_cards():
    d = example_dictionary()
    return [Regions(d, WordTokenizer())[k].card for k in range(len(d))]


def test_hostile_tokens_are_text(hostile_cards):
    shown = ""
    for card in hostile_cards:
        card = replace(card, label=IMAGE, promoted=[(SCRIPT, 1.0)], suppressed=[("</style>", -1)])
        page = Elements(card_html(card))
        shown += page.text
        allowed = "style article header h3 h4 span code dl div dt dd section p mark ol li b svg"
        allowed += " rect path circle text title details summary"
        assert page.tags <= set(allowed.split())
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert page.text.count(SCRIPT) >= 1
        assert "\u202e" not in page.text
        assert "\x1b" not in page.text
    assert all(word in shown for word in (IMAGE, SCRIPT, "<!--", "·txt", "·[2J", "⏎", "⇥"))
    assert len(HOSTILE) == 10


def test_card_marks_members_and_tells_its_numbers(hostile_cards):
    card = max(hostile_cards, key=lambda c: c.count)
    html = card_html(card)
    page = Elements(html)
    # A member stands in its line, and again in the text that the line opens to.
    assert html.count("<mark") == 1 + 2 * sum(len(c) for c in card.members.values())
    assert html.count("<details>") == sum(len(c) for c in card.members.values())
    wide = card.members["closest"][0]
    assert "".join([wide.before, *wide.tokens, wide.after]) in page.text
    for name, value in measures(card):
        assert name in page.text
        assert value in page.text
    for title in ("Closest members", "Farthest members", "Nearest regions", "Competitors"):
        assert title in page.text
    assert "No colour" in page.text
    assert "Nearest regions" not in Elements(card_html(card, links=False)).text


def test_card_fetches_nothing_and_has_no_fixed_paper_colour(hostile_cards):
    html = card_html(hostile_cards[0])
    assert not re.search(r"https?://|url\(|@import", html)
    assert not re.search(r"#fff\b|\bwhite\b(?!-)", html)


def test_shade_follows_the_cosine():
    model, atlas = built_atlas()
    region = Regions(atlas[2, 5], model)[0]
    html, card = region._repr_html_(), region.card
    assert html == region.to_html()
    context = next(iter(card.members.values()))[0]
    shown = [f"--c:{max(c, 0):.2f}" for c in context.cosines]
    found = re.findall(r"--c:\d\.\d\d", html.split("ep-line", 2)[-1])
    assert found[: len(shown)] == shown
    assert "Colour: cosine" in html
