"""The static site of this checkout."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from epkit.runner import site
from epkit.runner.profiles import find_notebooks

ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """Collects where a page leads, and what it fetches."""

    def __init__(self, text):
        super().__init__()
        self.leads, self.fetched = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])
        if tag in ("script", "img", "link", "iframe"):
            self.fetched.append(given.get("src") or given.get("href") or "data:")


@pytest.mark.slow
def test_the_site_holds_every_notebook_the_reference_and_the_glossary(tmp_path):
    pytest.importorskip("pdoc", reason="pdoc is not installed")
    index = site.write_site(ROOT, tmp_path / "site")
    names = {path.stem for path in find_notebooks(ROOT)}
    first = Links(index.read_text(encoding="utf-8"))
    assert {f"{name}.html" for name in names} <= set(first.leads)
    assert {"api/epkit.html", "glossary.html"} <= set(first.leads)
    for page in (tmp_path / "site").glob("*.html"):
        links = Links(page.read_text(encoding="utf-8"))
        assert not [address for address in links.fetched if not address.startswith("data:")], page
        for address in links.leads:
            if not re.match(r"#|https?://", address):
                assert (page.parent / address.partition("#")[0]).exists(), (page.name, address)
    for page in (tmp_path / "site" / "api").rglob("*.html"):
        fetched = Links(page.read_text(encoding="utf-8")).fetched
        assert not [address for address in fetched if "://" in address], page
    assert "threshold" in (tmp_path / "site" / "glossary.html").read_text(encoding="utf-8")


def test_the_reference_shows_the_library_and_not_what_serves_the_notebooks():
    shown = site.reference_modules()
    assert {"epkit", "epkit.clustering", "epkit.lm.store", "epkit.inspect.explorer"} <= set(shown)
    assert not [name for name in shown if name.startswith(("epkit.studies", "epkit.runner"))]
    assert not [name for name in shown if name.endswith("__main__")]


def test_without_pdoc_one_sentence_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "pdoc", None)
    assert site.main([str(tmp_path / "site")]) == 2
    assert "pip install 'epkit[site]'" in capsys.readouterr().err
