"""Pages: what a notebook's title and verdict are, and that a page fetches nothing."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat import v4

from epkit.runner import pages

FETCHED = re.compile(r"<(?:script|link|iframe)\b[^>]*(?:src|href)\s*=", re.IGNORECASE)


def code(source, tag=None, outputs=()):
    cell = v4.new_code_cell(source, outputs=list(outputs), execution_count=1)
    cell.metadata.tags = [tag] if tag else []
    return cell


def markdown_output(text):
    return v4.new_output("display_data", data={"text/markdown": text, "text/plain": "<Markdown>"})


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
    printed = v4.new_output("stream", name="stdout", text="K < 10 & rising\n")
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("Before.\n\n## Build a dictionary ##\n\n# Later"),
            code("x = 1 < 2", outputs=[html_output, widget]),
            code("say()", "verdict", [printed, markdown_output("It **holds**.")]),
            code("assert x", outputs=[v4.new_output("stream", name="stdout", text="not this")]),
        ]
    )


def test_title_is_the_first_heading_or_the_default(notebook):
    assert pages.title(notebook, "01_build") == "Build a dictionary"
    assert pages.title(v4.new_notebook(cells=[code("# not a heading")]), "01_build") == "01_build"


def test_verdict_takes_printed_text_and_markdown_of_tagged_cells_only(notebook):
    said = pages.verdict(notebook)
    assert "K &lt; 10 &amp; rising" in said
    assert "<strong>holds</strong>" in said
    assert "not this" not in said


def test_verdict_of_a_markdown_cell_and_of_none():
    cell = v4.new_markdown_cell("Regions *recur*.", metadata={"tags": ["verdict"]})
    assert "<em>recur</em>" in pages.verdict(v4.new_notebook(cells=[cell]))
    assert pages.verdict(v4.new_notebook(cells=[code("1")])) == ""


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
    said = f"| a | b |\n|---|---|\n| {text} | 2 |" if kind == "table cell" else f"**Found** {text}"
    if kind == "cell":
        cell = v4.new_markdown_cell(said, metadata={"tags": ["verdict"]})
    elif kind == "printed":
        cell = code("x", "verdict", [v4.new_output("stream", name="stdout", text=said)])
    else:
        cell = code("x", "verdict", [markdown_output(said)])
    notebook = v4.new_notebook(cells=[cell])
    verdict = pages.verdict(notebook)
    assert Live(verdict).found == []
    assert "\x1b" not in verdict

    entries = [
        pages.IndexLine("A", "done", "0:01", verdict, None),
        pages.IndexLine("B", "done", "", "", None),
    ]
    pages.write_index(tmp_path / "index.html", "cpu", entries)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert Live(index).found == []
    assert '<tr><td>B</td><td class="done">' in index
    if kind != "cell":  # what the notebook itself says is its own
        nbformat.write(notebook, tmp_path / "nb.ipynb")
        pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
        assert Live((tmp_path / "nb.html").read_text(encoding="utf-8")).found == []


def test_a_verdict_keeps_what_markdown_makes():
    text = "# A\n\n**b** *c* `d < e` [f](https://example.org)\n\n- g\n\n"
    text += "| h |\n|---|\n| 1 |\n\n```\ni\n```"
    said = pages.verdict(v4.new_notebook(cells=[code("x", "verdict", [markdown_output(text)])]))
    for part in ("<strong>b", "<em>c", "<code>d &lt; e", 'href="https://example.org"', "<li>g"):
        assert part in said
    assert "<td>1</td>" in said
    assert "&lt;div" not in said
    assert "&lt;span" not in said


def test_lines_of_a_printed_verdict_stay_lines():
    output = v4.new_output("stream", name="stdout", text="one\ntwo\n")
    said = pages.verdict(v4.new_notebook(cells=[code("x", "verdict", [output])]))
    assert said == '<p class="printed">one\ntwo</p>'


def test_the_browser_is_told_to_fetch_nothing(notebook, tmp_path):
    nbformat.write(notebook, tmp_path / "nb.ipynb")
    pages.write_page(tmp_path / "nb.ipynb", tmp_path / "nb.html")
    pages.write_index(tmp_path / "index.html", "cpu", [])
    policy = "Content-Security-Policy\" content=\"default-src 'none'; img-src data:;"
    for name in ("nb.html", "index.html"):
        assert policy in (tmp_path / name).read_text(encoding="utf-8")
    assert "script-src" not in (tmp_path / "index.html").read_text(encoding="utf-8")


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


def test_index_lists_every_notebook_with_status_time_and_verdict(tmp_path):
    entries = [
        pages.IndexLine("Build <one>", "done", "1:02", "<p>It holds.</p>", "01_build.html"),
        pages.IndexLine("Inspect", "failed", "0:03", "ValueError: no", "02_inspect.html"),
        pages.IndexLine("AxBench", "not run", "", "", None),
    ]
    pages.write_index(tmp_path / "index.html", "cpu", entries)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<a href="01_build.html">Build &lt;one&gt;</a>' in text
    assert "1 of 3 notebooks done" in text
    assert '<td class="failed">failed</td>' in text
    assert '<td>AxBench</td><td class="not-run">not run</td>' in text
    assert "<p>It holds.</p>" in text
    assert "prefers-color-scheme: dark" in text
    assert not FETCHED.search(text)


def test_pages_that_a_notebook_wrote_are_found_by_its_name(tmp_path):
    (tmp_path / "02_inspect.regions.html").write_text("<title>Regions: a &lt;b&gt;</title>")
    (tmp_path / "02_inspect.plain.html").write_text("no title")
    for other in ("02_inspect.html", "02_inspect.failed.html", "03_axbench.regions.html"):
        (tmp_path / other).write_text("<title>not this</title>")
    assert pages.own_pages(tmp_path, "02_inspect") == {
        "02_inspect.plain": "02_inspect.plain.html",
        "Regions: a <b>": "02_inspect.regions.html",
    }
