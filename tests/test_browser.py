"""The explorer in a JupyterLab and the exported page, as a headless Chromium shows them."""

import ast
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from browser import TOKEN, chromium, jupyterlab, until
from region_examples import HOSTILE, IMAGE, LONG, SCRIPT, WORDS, WordTokenizer, example_dictionary

from epkit.inspect.card import Histogram, Link, card_html
from epkit.inspect.explorer import RegionExplorer
from epkit.inspect.page import export_html
from epkit.inspect.regions import Regions
from epkit.inspect.tables import region_table, text_table
from epkit.lm.text import visible

pytestmark = pytest.mark.slow

Keys = pytest.importorskip("selenium.webdriver", reason="selenium is not installed").Keys

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOTEBOOK = ROOT / "notebooks" / "02_inspect.ipynb"
SETUP = f"""import sys
sys.path.insert(0, {str(TESTS)!r})
from region_examples import built_atlas
from epkit.inspect.explorer import RegionExplorer
model, atlas = built_atlas()"""
SHOWN = "return document.querySelector('.epkit-explorer .epkit-card')?.dataset.region"
READY = """const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
return !!context && context.isReady && context.session?.kernel?.connectionStatus === 'connected'"""
QUERY = ".epkit-explorer input[placeholder^='type and press']"
PROMPT = ".epkit-explorer input[placeholder^='type a prompt']"
LINES = "return [...document.querySelectorAll('.epkit-list button')].map(o => o.textContent)"
STATUS = "return document.querySelector('.epkit-status').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@contextmanager
def opened(browser, notebook, folder, home, seconds=90):
    """A notebook in a JupyterLab that serves `folder`, run, until an explorer is on show."""
    with jupyterlab(folder, home) as address:
        browser.get(f"{address}/lab/tree/{notebook.relative_to(folder)}?token={TOKEN}&reset")
        until(browser, READY)
        browser.execute_script("void jupyterapp.commands.execute('notebook:run-all-cells')")
        until(browser, SHOWN, seconds=seconds)
        yield browser


@pytest.fixture(scope="module")
def explorer(browser, tmp_path_factory):
    """The browser on a small notebook whose explorer is on show."""
    folder = tmp_path_factory.mktemp("notebooks")
    cells = [SETUP, "RegionExplorer(model, atlas)"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, folder / "explorer.ipynb")
    home = tmp_path_factory.mktemp("jupyter") / "home"
    with opened(browser, folder / "explorer.ipynb", folder, home) as shown:
        yield shown


def type_into(browser, place, text):
    """Replace what a text box holds, by the keyboard."""
    box = browser.find_element("css selector", place)
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(Keys.DELETE, text, Keys.ENTER)


def press(browser, label):
    """Choose an option by its button, by the keyboard."""
    browser.find_element("xpath", f"//button[text()='{label}']").send_keys(Keys.SPACE)


def test_explorer_answers_in_a_notebook(explorer):
    # The next line of the list, then a neighbour: both by the keyboard.
    lines = explorer.execute_script(LINES)
    explorer.find_elements("css selector", ".epkit-list button")[1].send_keys(Keys.ENTER)
    until(explorer, f"{SHOWN} === '{lines[1].split()[0]}'")
    first = explorer.find_element("css selector", ".epkit-links button")
    target = first.text.split()[0]
    first.send_keys(Keys.ENTER)
    until(explorer, f"{SHOWN} === '{target}'")
    assert explorer.execute_script("return document.activeElement.closest('.epkit-links') !== null")
    # Searches: a token, an expression that cannot be read, text around a member.
    type_into(explorer, QUERY, "P")
    until(explorer, f"{STATUS}.includes('whose token holds “P”')")
    assert 0 < len(explorer.execute_script(LINES)) < 30
    assert explorer.execute_script(SHOWN) == target
    press(explorer, "text around them (regex)")
    type_into(explorer, QUERY, "(")
    until(explorer, f"{STATUS}.includes('is not a regular expression')")
    type_into(explorer, QUERY, "Par.s")
    until(explorer, f"{STATUS}.includes('text around it that matches')")
    assert all("Paris" in text for text in explorer.execute_script(LINES))


def test_prompt_tokens_are_coloured_and_lead_to_regions(explorer):
    type_into(explorer, PROMPT, f"In Paris.{IMAGE}")
    until(explorer, "return document.querySelectorAll('.epkit-prompt button').length > 9")
    buttons = explorer.find_elements("css selector", ".epkit-prompt button")
    assert [b.text for b in buttons[:2]] == ["I", "n"]
    assert buttons[-1].text == IMAGE
    region = buttons[3].get_attribute("title").split()[1]
    buttons[3].click()
    until(explorer, f"{SHOWN} === '{region}'")
    assert len({b.value_of_css_property("background-color") for b in buttons}) > 1
    # Shaded through the model, between clicks.
    until(explorer, "return document.querySelector('.epkit-card [style*=\"--c\"]') !== null")


def test_hostile_tokens_do_nothing(explorer):
    press(explorer, "member tokens")
    type_into(explorer, QUERY, "onerror")
    until(explorer, f"{STATUS}.includes('onerror')")
    region = explorer.execute_script(LINES)[0].split()[0]
    explorer.find_element("css selector", ".epkit-list button").send_keys(Keys.SPACE)
    until(explorer, f"{SHOWN} === '{region}'")
    card = "document.querySelector('.epkit-explorer .epkit-card')"
    until(explorer, f"return {card}.textContent.includes('<img src=x')")
    time.sleep(0.3)
    assert "hacked" not in explorer.title
    assert explorer.execute_script("return document.querySelector('.epkit-explorer img')") is None


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_text_stands_out_in_both_themes(explorer, theme):
    change = "void jupyterapp.commands.execute('apputils:change-theme', {theme: arguments[0]})"
    explorer.execute_script(change, theme)
    light = theme.endswith("Light")
    until(explorer, f"return document.body.dataset.jpThemeLight === '{str(light).lower()}'")
    for place in (".epkit-card", ".epkit-card mark", ".epkit-list button", ".epkit-prompt button"):
        colour = explorer.find_element("css selector", place).value_of_css_property("color")
        red, green, blue, *_ = (float(x) for x in colour.split("(")[1].rstrip(")").split(","))
        assert (max(red, green, blue) < 100) == light, (place, colour)


def test_exported_page_opens_searches_and_follows_links(browser, tmp_path):
    d = example_dictionary(k=300, n=6000)
    path = export_html(d, tmp_path / "page.html", WordTokenizer())
    browser.get(path.as_uri())
    largest = int(d.counts.argmax())
    shown = "return document.querySelector('#card article').dataset.region"
    assert browser.execute_script(shown) == str(largest)
    rows = "return [...document.querySelectorAll('tbody tr')].map(r => Number(r.dataset.region))"
    assert len(browser.execute_script(rows)) == 100
    query = browser.find_element("id", "query")
    query.send_keys("onerror=")
    found = browser.execute_script(rows)
    assert 0 < len(found) < 300
    # By the keyboard: the first region's link, then a neighbour on its card, and back.
    browser.find_element("css selector", "tbody a").send_keys("\n")
    until(browser, f"{shown} === '{found[0]}'")
    card = Regions(d, WordTokenizer())[found[0]].card
    link = browser.find_element("css selector", "#card .ep-links a")
    assert link.text == str(card.nearest[0].region)
    link.send_keys("\n")
    until(browser, f"{shown} === '{card.nearest[0].region}'")
    browser.back()
    until(browser, f"{shown} === '{found[0]}'")
    text = browser.find_element("css selector", "#card").text
    for line in (f"Region {found[0]}", card.histogram.of, "No colour", "Nearest regions"):
        assert line in text
    assert IMAGE in text
    _check_other_controls(browser, query, rows, d)
    assert "hacked" not in browser.title
    assert browser.execute_script("return document.querySelector('main img')") is None
    assert [e for e in browser.get_log("browser") if path.name in e["message"]] == []


def _check_other_controls(browser, query, rows, d):
    browser.find_element("id", "field").send_keys("text")
    query.clear()
    query.send_keys("(")
    assert "is not a regular expression" in browser.find_element("id", "status").text
    query.clear()
    query.send_keys("word1 .*word2")
    assert "of 300 regions" in browser.find_element("id", "status").text
    query.clear()
    query.send_keys(" ")
    browser.find_element("css selector", "th[data-name=coherence] button").click()
    shown = d.coherence[browser.execute_script(rows)]
    assert (shown.diff() <= 1e-6).all()
    browser.find_element("id", "next").click()
    assert d.coherence[browser.execute_script(rows)].max() <= shown.min() + 1e-6


def hostile_parts():
    """HTML of all that shows corpus text in a notebook: tables, cards, an explorer's and a prompt's
    own HTML, with hostile texts wherever a text can stand."""
    d, tokenizer = example_dictionary(), WordTokenizer()
    frame = pd.DataFrame(dict.fromkeys(HOSTILE, HOSTILE) | {"lines": [HOSTILE] * len(HOSTILE)})
    frame.index = pd.Index(HOSTILE, name=IMAGE, dtype=object)
    parts = [text_table(frame, text, index=True).to_html() for text in HOSTILE]
    parts.append(text_table(region_table(d, tokenizer, range(len(d))), IMAGE).to_html())
    regions = Regions(d, tokenizer)
    parts += [region.to_html() for region in regions]
    card = regions[0].card
    for text in HOSTILE:
        pairs, links = [(text, 1.0)], [Link(1, text, text)]
        parts.append(card_html(replace(
            card, label=visible(text), promoted=pairs, suppressed=pairs, nearest=links,
            competitors=links, competitors_of=text, histogram=Histogram([1], [], text),
        )))  # fmt: skip
    explorer = RegionExplorer(tokenizer, {(1, 1): d})
    for text in HOSTILE:
        explorer.field.value, explorer.query.value = "context", text + "("
        parts += [w.value for w in (explorer.status, explorer.about, explorer.panel.card)]
    return parts


ALIVE = """const found = document.querySelectorAll('img, textarea, script, iframe, object, form')
return [...found]
    .concat([...document.querySelectorAll('*')].filter(e => [...e.attributes]
        .some(a => a.name.startsWith('on') || /^ *javascript:/i.test(a.value))))
    .map(e => e.outerHTML.slice(0, 200))"""


def test_no_text_lives_in_any_table_or_card(browser, tmp_path):
    parts = hostile_parts()
    page = tmp_path / "parts.html"
    body = "".join(f'<div class="part">{part}</div>' for part in parts)
    page.write_text(
        f"<!doctype html><meta charset='utf-8'><title>safe</title><body>{body}</body>",
        encoding="utf-8",
    )
    browser.get(page.as_uri())
    time.sleep(0.3)
    assert browser.execute_script(ALIVE) == []
    assert browser.title == "safe"
    # No part was torn open by another, and every character that is there can be seen.
    assert browser.execute_script("return document.querySelectorAll('body > .part').length") == len(
        parts
    )
    said = browser.execute_script(
        "document.querySelectorAll('style').forEach(e => e.remove());"
        "return document.body.textContent"
    )
    assert not set("\x00\x1b\u202e\ufffd") & set(said)
    for text in HOSTILE:
        assert visible(text) in said


def test_no_text_lives_in_an_exported_page(browser, tmp_path):
    words = [LONG if word == " word1" else word for word in WORDS]
    d = example_dictionary()
    d.metadata["corpus"] = "".join(HOSTILE)
    browser.get(export_html(d, tmp_path / "page.html", WordTokenizer(words)).as_uri())
    own = "document.querySelectorAll('script, form').length"
    assert browser.execute_script(f"return {own}") == 3
    browser.execute_script("document.querySelectorAll('script, form').forEach(e => e.remove())")
    before = browser.title
    assert SCRIPT in before
    for k in range(len(d)):
        browser.execute_script(f"location.hash = '#region-{k}'")
        until(browser, f"return document.querySelector('#card article').dataset.region === '{k}'")
        assert browser.execute_script(ALIVE) == []
        said = browser.execute_script("return document.body.textContent")
        assert not set("\x00\x1b\u202e") & set(said)
        assert "x" * 201 not in said
    assert browser.title == before


def test_large_page_opens_in_two_seconds(browser, tmp_path):
    d = example_dictionary(k=5000, n=60_000)
    path = export_html(d, tmp_path / "page.html", WordTokenizer())
    browser.get(path.as_uri())
    took = browser.execute_script(
        "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    )
    assert took < 2000


def names(cell):
    """Names that a cell gives a value, and those it reads."""
    source = "\n".join(
        line for line in cell.source.splitlines() if not line.lstrip().startswith("%")
    )
    nodes = list(ast.walk(ast.parse(source)))
    given = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    imports = (n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom))
    given |= {(a.asname or a.name).split(".")[0] for n in imports for a in n.names}
    return given, {n.id for n in nodes if isinstance(n, ast.Name)} - given


def cells_for_explorer(cells):
    """The cell with the explorer, after those before it that give a name it needs, and so on."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    last = max(i for i, cell in enumerate(code) if "RegionExplorer(" in cell.source)
    kept, needed = [code[last]], names(code[last])[1]
    for cell in reversed(code[:last]):
        given, read = names(cell)
        if given & needed:
            kept.insert(0, cell)
            needed = (needed - given) | read
    for cell in kept:
        cell.outputs = []
    return kept


def test_notebook_shows_its_explorer(browser, tmp_path):
    """The notebook's own cells that lead to its explorer, on the dictionaries of the last run."""
    if not NOTEBOOK.is_file():
        pytest.skip("there is no notebook 02_inspect")
    if not any(ROOT.glob("runs/cpu/dictionaries/*.safetensors")):
        pytest.skip("no dictionaries in runs/cpu: `make run` builds them")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = cells_for_explorer(notebook.cells)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "runs").symlink_to(ROOT / "runs")
    copy = tmp_path / "notebooks" / NOTEBOOK.name
    nbformat.write(notebook, copy)
    with opened(browser, copy, tmp_path, tmp_path / "home", seconds=400):
        second = browser.find_elements("css selector", ".epkit-list button")[1]
        region = second.text.split()[0]
        second.click()
        until(browser, f"{SHOWN} === '{region}'")
        neighbour = browser.find_element("css selector", ".epkit-links button")
        region = neighbour.text.split()[0]
        neighbour.click()
        until(browser, f"{SHOWN} === '{region}'")
        type_into(browser, QUERY, "the")
        until(browser, f"{STATUS}.includes('whose token holds “the”')")
        assert any(" the " in line for line in browser.execute_script(LINES))
        type_into(browser, PROMPT, "The cat sat in Paris")
        until(browser, "return document.querySelectorAll('.epkit-prompt button').length >= 5")
        token = browser.find_elements("css selector", ".epkit-prompt button")[-1]
        region = token.get_attribute("title").split()[1]
        token.click()
        until(browser, f"{SHOWN} === '{region}'")
        card = browser.find_element("css selector", ".epkit-card").text
        for title in ("members", "coherence", "Exemplar", "Promoted next tokens", "Distances"):
            assert title in card
