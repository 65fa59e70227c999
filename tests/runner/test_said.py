"""What a notebook says of itself: title, question, answer, verdict, picture."""

import base64

import pytest
from nbformat import v4
from notebook_examples import code, markdown_output, picture_output, printed

from epkit.runner import said

FIRST = """# 1. Building

**Question.** Do *regions*
hold?

**Answer: no better than random.** At p 4
.98 [.97, .99].

**Method.** None."""


def of(*cells):
    return v4.new_notebook(cells=list(cells))


def test_title_is_the_first_heading_or_the_default():
    later = v4.new_markdown_cell("Before.\n\n## Build a dictionary ##\n\n# Later")
    assert said.title(of(later), "01_build") == "Build a dictionary"
    assert said.title(of(code("# not a heading")), "01_build") == "01_build"


def test_question_and_answer_are_paragraphs_of_the_first_cell():
    notebook = of(v4.new_markdown_cell(FIRST))
    assert said.question(notebook) == "Do *regions* hold?"
    assert said.stated_answer(notebook) == ("no better than random", "At p 4 .98 [.97, .99].")
    for other in (of(), of(code(FIRST)), of(v4.new_markdown_cell("# A"))):
        assert (said.question(other), said.stated_answer(other)) == ("", ("", ""))


def test_verdict_takes_printed_text_and_markdown_of_tagged_cells_only():
    outputs = [printed("K < 10 & rising\n"), markdown_output("It **holds**.")]
    notebook = of(code("say()", "verdict", outputs), code("assert x", None, [printed("not this")]))
    shown = said.verdict(notebook)
    assert "K &lt; 10 &amp; rising" in shown
    assert "<strong>holds</strong>" in shown
    assert "not this" not in shown
    assert said.opening(notebook) == "K < 10 & rising It **holds**."
    assert said.opening(notebook, 2) == "K < …"


def test_verdict_of_a_markdown_cell_and_of_none():
    cell = v4.new_markdown_cell("Regions *recur*.", metadata={"tags": ["verdict"]})
    assert "<em>recur</em>" in said.verdict(of(cell))
    assert said.verdict(of(code("1"))) == ""
    assert said.opening(of(code("1"))) == ""


def test_a_verdict_keeps_what_markdown_makes():
    text = "# A\n\n**b** *c* `d < e` [f](https://example.org)\n\n- g\n\n"
    text += "| h |\n|---|\n| 1 |\n\n```\ni\n```"
    shown = said.verdict(of(code("x", "verdict", [markdown_output(text)])))
    for part in ("<strong>b", "<em>c", "<code>d &lt; e", 'href="https://example.org"', "<li>g"):
        assert part in shown
    assert "<td>1</td>" in shown
    assert "&lt;div" not in shown
    assert "&lt;span" not in shown


def test_lines_of_a_printed_verdict_stay_lines():
    shown = said.verdict(of(code("x", "verdict", [printed("one\ntwo\n")])))
    assert shown == '<p class="printed">one\ntwo</p>'


@pytest.mark.parametrize("inside", [False, True])
def test_the_picture_is_that_of_the_tagged_cell(inside):
    png = base64.b64encode(b"abc").decode()
    output = picture_output(png)
    if inside:
        del output.data["image/png"]
        output.data["text/html"] = f'<p><img alt="a" src="data:image/png;base64,{png}"></p>'
    assert said.picture(of(code("1"), code("show()", "picture", [output]))) == b"abc"
    assert said.picture(of(code("show()", None, [output]))) is None
