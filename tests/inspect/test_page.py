"""The exported file and its data (how it looks in a browser: test_browser)."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from region_examples import (
    IMAGE,
    SCRIPT,
    TEXTS,
    WordTokenizer,
    built_atlas,
    example_dictionary,
)

from epkit.files import pages_dir
from epkit.inspect.facts import LINKS
from epkit.inspect.interest import interest
from epkit.inspect.page import export_html, page_link
from epkit.inspect.page_data import LEVELS, SIGNS
from epkit.inspect.regions import Regions
from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached
from epkit.members import KINDS


def data_of(path):
    page = path.read_text(encoding="utf-8")
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return page, json.loads(block)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    d = example_dictionary()
    path = export_html(d, tmp_path_factory.mktemp("page") / "sub" / "page.html", WordTokenizer())
    return d, path


def test_hostile_tokens_cannot_leave_the_data(example):
    page, data = data_of(example[1])
    assert IMAGE in data["texts"]
    assert SCRIPT in data["texts"]
    assert IMAGE not in page
    assert SCRIPT not in page
    assert len(re.findall(r"<script", page)) == len(re.findall(r"</script", page)) == 2
    assert "<title>Regions: &lt;b&gt;words&lt;/b&gt;, layer 1, percentile 1</title>" in page
    assert "innerHTML" not in page
    assert "{{data}}" in data["texts"]  # a token, not a place to fill


def test_page_fetches_nothing_and_its_script_is_named_by_hash(example):
    page, _ = data_of(example[1])
    assert "default-src 'none'" in page
    assert "script-src 'sha256-" in page
    assert not re.search(r'(src|href)="?(https?:|//)|url\(|@import|fetch\(|XMLHttp', page)
    assert [p.name for p in example[1].parent.iterdir()] == ["page.html"]


def said(data, context, left=3):
    """Texts of a context's tokens; of an opened one with left=5."""
    at = context[2]
    low, high = at - context[left], at + context[left + 1] + 1
    return [data["texts"][t] for t in data["stream"][low:high]]


def test_positions_are_those_of_the_stream(example):
    d, path = example
    _, data = data_of(path)
    for k in range(len(d)):
        exemplar, *rest = (data["positions"][str(c[2])] for c in data["contexts"][k])
        assert exemplar == int(d.exemplar_index[k])
        kept = {int(i) for kind in KINDS for i in d.members.of(k, kind)[0]}
        assert set(rest) <= kept


def test_page_holds_what_the_cards_say(example):
    d, path = example
    _, data = data_of(path)
    regions = Regions(d, WordTokenizer())
    assert data["counts"] == d.counts.tolist()
    for k in range(len(d)):
        card = regions[k].card
        exemplar, *rest = data["contexts"][k]
        assert data["kinds"][exemplar[0]] == "exemplar"
        assert said(data, exemplar) == card.exemplar.tokens
        assert exemplar[1] == 0
        assert exemplar[3] == card.exemplar.at
        shown = {name: [c for c in rest if data["kinds"][c[0]] == name] for name in data["titles"]}
        shown = {name: contexts for name, contexts in shown.items() if contexts}
        assert list(shown) == list(card.members)
        for name, contexts in shown.items():
            full = card.members[name]
            assert len(contexts) == (len(full) if name == "all" else min(5, len(full)))
            for context, c in zip(contexts, full, strict=False):
                own = data["texts"][data["stream"][context[2]]]
                assert own == c.tokens[c.at]
                assert context[1] == pytest.approx(c.distance, abs=1e-4)
                assert "".join(said(data, context)) in "".join(c.tokens)
                # What a line opens to is the text around it, from before to after.
                assert "".join(said(data, context, 5)) in c.before + "".join(c.tokens) + c.after
        assert data["nearest"][k] == [link.region for link in card.nearest]
        assert len(data["nearest"][k]) == LINKS
    assert data["promoted"] is data["bars"] is data["competitors"] is data["background"] is None
    assert data["names"] == regions.names
    np.testing.assert_allclose(data["interest"], interest(regions), atol=6e-4)
    assert len(data["map"]) == 2 * len(d)
    assert 0 <= min(data["map"]) <= max(data["map"]) <= 999
    assert "No colour" in data["note"]


def test_shade_lens_and_counts_come_from_model_and_activations(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model, atlas = built_atlas()
    d = atlas[2, 5]
    stream = ActivationStream(model, TEXTS, [1, 2], context=64)
    activations = cached(stream, 900, show_progress=False)
    quiet = {"show_progress": False, "contexts": 8}
    run = data_of(export_html(d, tmp_path / "a.html", model, **quiet))[1]
    given = data_of(export_html(d, tmp_path / "b.html", model, activations=activations, **quiet))[1]
    assert sum(map(sum, given["bars"])) == d.n
    regions = Regions(d, model, activations=activations)
    for k in range(0, len(d), 7):
        card = regions[k].card
        for data in (run, given):
            for letter, cosine, own in zip(
                data["contexts"][k][0][7], card.exemplar.cosines, card.exemplar.regions, strict=True
            ):
                if np.isnan(cosine):
                    assert letter == "-" or data is run
                else:
                    assert LEVELS.index(letter.lower()) / 25 == pytest.approx(
                        max(cosine, 0), abs=0.021
                    )
                    assert letter.isupper() == (own == k)
            promoted = [data["words"][word] for word in data["promoted"][k][0]]
            assert promoted == [text for text, _ in card.promoted]
            assert tuple(data["foretold"][k]) == card.foretold
        drawn = np.array(card.histogram.background)
        bars = [SIGNS.index(sign) for sign in given["background"]["bars"][k]]
        np.testing.assert_allclose(bars, 35 * drawn / max(drawn.max(), 1), atol=0.5)
        assert given["bars"][k] == card.histogram.bars
        assert [link.region for link in card.competitors] == [r for r, _ in given["competitors"][k]]
    assert (
        export_html(d, tmp_path / "c.html", model, **quiet).read_bytes()
        == (tmp_path / "a.html").read_bytes()
    )


def test_interrupted_write_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("epkit.inspect.page.os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        export_html(example_dictionary(), path, WordTokenizer())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_contexts_out_of_range(tmp_path):
    with pytest.raises(ValueError, match="contexts must be in 1 … 8"):
        export_html(example_dictionary(), tmp_path / "p.html", WordTokenizer(), contexts=9)


def test_a_link_is_the_name_beside_the_pages_of_a_run(tmp_path, monkeypatch):
    monkeypatch.delenv("EPKIT_PAGES", raising=False)
    assert pages_dir() == Path("runs")
    assert page_link(pages_dir() / "a.html", "all").data == "[all](<runs/a.html>)"
    monkeypatch.setenv("EPKIT_PAGES", str(tmp_path))
    assert page_link(pages_dir() / "a.html", "all").data == "[all](<a.html>)"
    assert page_link("b/a.html", "all").data == "[all](<b/a.html>)"
