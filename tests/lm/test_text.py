"""Text that can be seen: whatever it holds, no sign of it hides, moves or acts."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from region_examples import Elements

from epkit.lm.text import LONGEST, as_html, label_of, visible

ANY = st.text(st.characters() | st.sampled_from("<>&\"'\n\t\0\x1b\u202e\ud800 "), max_size=40)


def test_visible_text_has_no_character_that_hides():
    assert visible("a\nb\tc\x1b[2J\u202ed\u200be\ud800") == "a⏎b⇥c·[2J·d·e·"
    assert visible("naïve 東京 😀 <b>") == "naïve 東京 😀 <b>"
    assert [label_of(t) for t in (" the", "  ", "\n", "")] == ["the", "␣␣", "⏎", "(empty)"]


@given(ANY)
def test_any_text_becomes_visible_and_stays_so(text):
    shown = visible(text)
    assert len(shown) == len(text)
    assert all(unicodedata.category(c)[0] not in "C" for c in shown)
    assert visible(shown) == shown
    assert visible(text, 5) == (shown if len(text) <= 5 else shown[:4] + "…")


@given(ANY)
def test_any_text_is_only_text_in_html(text):
    page = Elements(f'<p title="{as_html(text)}">{as_html(text)}</p>')
    assert page.tags == {"p"}
    assert page.attributes == [("title", visible(text))]
    assert page.text == visible(text)


@given(ANY)
def test_a_label_is_one_line_that_says_something(text):
    assert label_of(text)
    assert "\n" not in label_of(text)


def test_long_texts_end_in_an_ellipsis():
    assert label_of("x" * 30_000) == "x" * (LONGEST - 1) + "…"
    assert label_of(" " * 30_000) == "␣" * (LONGEST - 1) + "…"
