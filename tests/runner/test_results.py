"""Pages of a folder of runs: stored outputs where nothing was run, and whose answer is shown."""

import os

import nbformat
import pytest
from nbformat import v4
from run_examples import code, write_notebook

from epkit.runner import results

FIRST = """# Counting

**Question.** How *many*?

**Answer: holds in part.** Three, of
four.

More."""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (62, "1:02"), (3723, "1:02:03")]
)
def test_clock(seconds, text):
    assert results.clock(seconds) == text


@pytest.fixture
def source(tmp_path):
    (tmp_path / "notebooks").mkdir()
    said = code("print('As', n)", "verdict")
    said.outputs = [v4.new_output("stream", name="stdout", text="As <b>3</b>")]
    write_notebook(
        tmp_path, "01_count", v4.new_markdown_cell(FIRST), code("n = 3", "parameters"), said
    )
    return tmp_path / "notebooks" / "01_count.ipynb"


def run_of(source, folder, parameters):
    """A record of a run, and its notebook in the folder."""
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata["papermill"] = {"parameters": parameters}
    nbformat.write(notebook, folder / source.name)
    return {"status": "done", "seconds": 61, "error": "", "traceback": "", "inputs": ""}


def test_a_notebook_that_was_not_run_is_shown_with_its_stored_outputs(source, tmp_path):
    results.write_stored(tmp_path, [source], {})
    card = results.card(tmp_path, source, None)
    assert (card.status, card.page, card.time) == ("stored", "01_count.html", "")
    assert (card.badge, card.answer) == ("holds in part", "Three, of four.")
    assert card.question == "How *many*?"
    assert "As &lt;b&gt;3&lt;/b&gt;" in card.verdict
    page = tmp_path / "01_count.html"
    written = page.stat().st_mtime_ns
    results.write_stored(tmp_path, [source], {})
    assert page.stat().st_mtime_ns == written
    os.utime(source, ns=(written + 10**9, written + 10**9))
    results.write_stored(tmp_path, [source], {"01_count": {}})
    assert page.stat().st_mtime_ns == written  # its page is that of the run
    results.write_stored(tmp_path, [source], {})
    assert page.stat().st_mtime_ns > written


def test_a_run_with_other_parameters_is_told_by_its_own_verdict(source, tmp_path):
    record = run_of(source, tmp_path, {"n": 3})
    card = results.card(tmp_path, source, record)
    assert (card.badge, card.answer, card.time) == ("holds in part", "Three, of four.", "1:01")
    card = results.card(tmp_path, source, run_of(source, tmp_path, {"n": 4}))
    assert (card.badge, card.answer) == ("", "As &lt;b&gt;3&lt;/b&gt;")


def test_a_failure_beside_stored_outputs_says_whose_they_are(source, tmp_path):
    results.write_stored(tmp_path, [source], {})
    failed = {"status": "failed", "seconds": 1, "error": "ValueError: <i>", "traceback": ""}
    card = results.card(tmp_path, source, failed)
    assert card.links == {"the stored result": "01_count.html"}
    assert (card.page, card.answer, card.badge) == (None, "ValueError: &lt;i&gt;", "")


def test_pages_lead_to_those_before_and_after(source, tmp_path):
    others = [source.with_name("00_a.ipynb"), source, source.with_name("02_b.ipynb")]
    results.write_result_page(tmp_path, others, source)
    page = (tmp_path / "01_count.html").read_text()
    assert '<a href="00_a.html">‹ 00_a</a><a href="02_b.html">02_b ›</a>' in page
