"""Pages: result first, code folded, nothing fetched, nothing of a corpus alive."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat import v4
from notebook_examples import code, markdown_output, picture_output, printed

from epkit.runner import pages, said
from epkit.runner.index import NotebookCard, write_index

FETCHED = re.compile(r"<(?:script|link|iframe)\b[^>]*(?:src|href)\s*=", re.IGNORECASE)


@pytest.fixture
def notebook():
    html_output = v4.new_output(
        "display_data",
        data={
            "text/html": "<table><tr><td>42</td></tr></table>"
            "<script src='https://cdn.example.org/plot.js'></script>"
            '<link rel="stylesheet" href="https://cdn.example.org/plot.css">'
        },
    )
    widget = v4.new_output(
        "display_data", data={pages.WIDGET: {"model_id": "a"}, "text/plain": "VBox()"}
    )
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("Before.\n\n## Build a dictionary ##\n\n# Later"),
            code("x = 1 < 2", outputs=[html_output, widget]),
            code("say()", "verdict", [printed("K < 10"), markdown_output("It **holds**.")]),
            code("assert x", outputs=[printed("not this")]),
        ]
    )


CORPUS = [
    "<textarea>all that follows",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/a.png'>",
    "</script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "<b onclick=alert(1)>x</b>",
    "<style>body {display: none}</style>",
    "<form action='https://evil.example'><button>x</button></form>",
    "</td></tr></table><h1>x",
    "<!-- <p>",
    "$<script>alert(1)</script>$",
    "\x1b[31m<object data=x>\x1b[0m",
]


class Live(HTMLParser):
    """Collects what a browser would run, fetch or offer as a control."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in {"script", "img", "svg", "iframe", "textarea", "form", "button", "object"}:
            self.found.append(tag)
        for name, value in attributes:
            if name.startswith("on") or "javascript:" in (value or ""):
                self.found.append(f"{tag} {name}")


@pytest.mark.parametrize("text", CORPUS)
@pytest.mark.parametrize("kind", ["printed", "markdown", "table cell", "cell"])
def test_corpus_text_in_a_verdict_is_shown_and_never_live(text, kind, tmp_path):
    text = f"| a | b |\n|---|---|\n| {text} | 2 |" if kind == "table cell" else f"**Found** {text}"
    if kind == "cell":
        cell = v4.new_markdown_cell(text, metadata={"tags": ["verdict"]})
    elif kind == "printed":
        cell = code("x", "verdict", [printed(text)])
    else:
        cell = code("x", "verdict", [markdown_output(text)])
    notebook = v4.new_notebook(cells=[cell])
    verdict = said.verdict(notebook)
    assert Live(verdict).found == []
    assert "\x1b" not in verdict

    card = NotebookCard("A", "done", "0:01", None, question=text, answer=text, verdict=verdict)
    write_index(tmp_path / "index.html", "All", "", [card, NotebookCard("B", "stored")])
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert Live(index).found == []
    assert index.count('<li class="card">') == 2
    if kind != "cell":  # what the notebook itself says is its own
        nbformat.write(notebook, tmp_path / "nb.ipynb")
        pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
        assert Live((tmp_path / "nb.html").read_text(encoding="utf-8")).found == []


def test_page_shows_the_outputs_and_fetches_nothing(notebook, tmp_path):
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
    text = (tmp_path / "nb.html").read_text(encoding="utf-8")
    assert "<td>42</td>" in text
    assert "<title>Build a dictionary</title>" in text
    assert 'href="index.html"' in text
    assert "VBox" not in text
    assert "cdn.example.org" not in text
    assert not FETCHED.search(text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nb.html", "nb.ipynb"]


FIRST = """# Counting

**Question.** How many?

**Answer: holds.** Three.

![a figure](pictures/01_count.png)

**Method.** By hand."""


def test_the_result_stands_first_and_the_code_is_folded(tmp_path):
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell(FIRST),
            code("n = 3", "parameters"),
            v4.new_markdown_cell("## One *thing*"),
            code("show()", "picture", [picture_output("aGVsbG8=")]),
            v4.new_markdown_cell("## Another"),
            code("assert n"),
            code("assert n\nn"),
        ]
    )
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html", {"‹ 00": "00.html"})
    text = (tmp_path / "nb.html").read_text(encoding="utf-8")
    figure = text.index('<p class="main-figure"><img alt="Main figure of Counting"')
    assert text.index("Three.") < figure < text.index("By hand.") < text.index("n</span>")
    assert "pictures/01_count.png" not in text
    folds = re.findall(r'<details class="code"><summary>([^<]*)</summary>', text)
    assert folds == ["parameters", "code", "code", "checks"]
    assert '<a href="index.html">All notebooks</a><a href="00.html">‹ 00</a>' in text
    assert "of the stored run" not in text
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html", as_stored=False)
    other = (tmp_path / "nb.html").read_text(encoding="utf-8")
    assert "<strong>Answer of the stored run, not of this one: holds.</strong>" in other
    assert re.search(r'<ol><li><a href="#One-thing">One <em>thing</em></a></li><li>', text)


def test_a_link_to_what_only_a_run_makes_leads_nowhere_without_one(tmp_path):
    shown = v4.new_output("display_data", data={"text/html": '<a href="a.html">all</a>'})
    nbformat.write(v4.new_notebook(cells=[code("p", None, [shown])]), tmp_path / "nb.ipynb")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
    assert "all (a page that a run" in (tmp_path / "nb.html").read_text(encoding="utf-8")
    (tmp_path / "a.html").write_text("there")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
    assert '<a href="a.html">all</a>' in (tmp_path / "nb.html").read_text(encoding="utf-8")


def test_what_only_a_front_end_draws_is_left_out(tmp_path):
    plotly = v4.new_output("display_data", data={"application/vnd.plotly.v1+json": {"x": 1}})
    nbformat.write(v4.new_notebook(cells=[code("p", None, [plotly])]), tmp_path / "nb.ipynb")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
    assert "plotly" not in (tmp_path / "nb.html").read_text(encoding="utf-8")


def test_pages_that_a_notebook_wrote_are_found_by_its_name(tmp_path):
    (tmp_path / "02_inspect.regions.html").write_text("<title>Regions: a &lt;b&gt;</title>")
    (tmp_path / "02_inspect.plain.html").write_text("no title")
    for other in ("02_inspect.html", "02_inspect.failed.html", "03_axbench.regions.html"):
        (tmp_path / other).write_text("<title>not this</title>")
    assert pages.own_pages(tmp_path, "02_inspect") == {
        "02_inspect.plain": "02_inspect.plain.html",
        "Regions: a <b>": "02_inspect.regions.html",
    }
