"""The cards of all notebooks: what stands on each, and that nothing of a corpus lives there."""

import base64
import io
import re

from PIL import Image

from epkit.runner.index import WIDTH, NotebookCard, write_index


def drawn(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def written(tmp_path, *cards, links=None):
    write_index(tmp_path / "index.html", "All <of> them", "Profile cpu & more.", cards, links)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def test_every_notebook_has_a_card_with_status_badge_and_answer(tmp_path):
    text = written(
        tmp_path,
        NotebookCard(
            "Build <one>", "done", "1:02", "01_build.html", question="Does *it*?",
            badge="holds in part", answer="Yes, < 3.",
            verdict="<p>It holds.</p>", links={"a page": "01_build.a.html"},
        ),
        NotebookCard("Inspect", "failed", "0:03", answer="ValueError: no"),
        NotebookCard("AxBench", "stored", page="03.html", badge="no better than random"),
        links={"Glossary": "glossary.html"},
    )  # fmt: skip
    assert "<h1>All &lt;of&gt; them</h1>" in text
    assert "Profile cpu &amp; more." in text
    assert '<a href="01_build.html">Build &lt;one&gt;</a>' in text
    assert '<span class="badge holds">holds in part</span>' in text
    assert '<span class="badge no">no better than random</span>' in text
    assert "run in 1:02" in text
    assert "Does <em>it</em>?" in text
    assert "Yes, &lt; 3." in text
    assert "<details><summary>verdict in full</summary><p>It holds.</p></details>" in text
    assert '<a href="01_build.a.html">a page</a>' in text
    assert "<h2>Inspect</h2>" in text
    assert "failed after 0:03" in text
    assert "not run here: stored outputs" in text
    assert '<a href="glossary.html">Glossary</a>' in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"<(?:script|link|iframe)\b", text)


def test_pictures_are_small_and_inside_the_page(tmp_path):
    text = written(tmp_path, NotebookCard("A", "stored", page="a.html", picture=drawn(3000, 1000)))
    (source,) = re.findall(r'<img alt="" src="data:image/png;base64,([^"]+)">', text)
    assert Image.open(io.BytesIO(base64.b64decode(source))).size == (WIDTH, round(WIDTH / 3))
    assert 'aria-hidden="true"' in text  # the title leads to the page already
    text = written(tmp_path, NotebookCard("A", "stored", picture=drawn(30, 10)))
    assert '<span class="shot"><img' in text
