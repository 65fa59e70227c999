"""The frame of pages and a table as a page."""

from epkit.runner.frame import around, write_framed, write_sheet


def test_a_page_fetches_nothing_and_its_title_is_text(tmp_path):
    write_framed(tmp_path / "a.html", "A <b>", "<p>x</p>", kind="wide-page")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<title>A &lt;b&gt;</title>" in text
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:;" in text
    assert "script-src" not in text
    assert '<body class="wide-page">' in text


def test_a_sheet_escapes_its_heads_and_keeps_its_cells(tmp_path):
    write_sheet(tmp_path / "a.html", "Sweep <a>", "1 < 2", ["p < q"], [["<b>1</b>"]])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    for part in ("<h1>Sweep &lt;a&gt;</h1>", "1 &lt; 2", "<th>p &lt; q</th>", "<td><b>1</b></td>"):
        assert part in text


def test_the_way_to_other_pages():
    assert around({}) == ""
    assert '<a href="a&amp;b.html">A &lt; B</a>' in around({"A < B": "a&b.html"})
