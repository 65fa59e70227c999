"""The explorer in a JupyterLab and the exported page, as a headless Chromium shows them."""

import ast
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from browser import TOKEN, at, chromium, jupyterlab, until
from region_examples import HOSTILE, IMAGE, LONG, SCRIPT, WORDS, WordTokenizer, example_dictionary

from epkit.inspect.card import Link, card_html
from epkit.inspect.explorer import RegionExplorer
from epkit.inspect.histogram import Histogram
from epkit.inspect.interest import interest
from epkit.inspect.page import export_html
from epkit.inspect.regions import Regions
from epkit.inspect.tables import region_table, text_table
from epkit.lm.text import visible

pytestmark = pytest.mark.slow

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Keys, ActionChains = webdriver.Keys, webdriver.ActionChains

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOTEBOOK = ROOT / "notebooks" / "02_inspect.ipynb"
SETUP = f"""import sys
sys.path.insert(0, {str(TESTS)!r})
from region_examples import built_atlas
from epkit.inspect.explorer import RegionExplorer
from epkit.inspect.histogram import Histogram
from epkit.inspect.interest import interest
model, atlas = built_atlas()"""
SHOWN = "return document.querySelector('.epkit-explorer .epkit-card')?.dataset.region"
READY = """const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
return !!context && context.isReady && context.session?.kernel?.connectionStatus === 'connected'"""
QUERY = ".epkit-explorer .epkit-query input"
PROMPT = ".epkit-explorer input[placeholder^='type a prompt']"
LINES = "return [...document.querySelectorAll('.epkit-list button')].map(o => o.textContent)"
STATUS = "return document.querySelector('.epkit-said').textContent"


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
    until(explorer, f"{STATUS}.includes('match “P”')")
    assert 0 < len(explorer.execute_script(LINES)) < 30
    assert explorer.execute_script(SHOWN) == target
    type_into(explorer, QUERY, "(")
    until(explorer, f"{STATUS}.includes('is not a regular expression')")
    type_into(explorer, QUERY, "Par.s")
    until(explorer, f"{STATUS}.includes('by text around')")
    assert all("Paris" in text for text in explorer.execute_script(LINES))


def test_keys_search_step_and_go_back(explorer):
    def key(*keys):
        ActionChains(explorer).send_keys(*keys).perform()

    type_into(explorer, QUERY, "P")
    until(explorer, f"{STATUS}.includes('match “P”')")
    lines = [line.split()[0] for line in explorer.execute_script(LINES)]
    explorer.find_element("css selector", ".epkit-list button").click()
    until(explorer, f"{SHOWN} === '{lines[0]}'")
    for place, pressed in ((1, "j"), (2, "j"), (1, "k")):
        key(pressed)
        until(explorer, f"{SHOWN} === '{lines[place]}'")
    key("/")
    until(explorer, f"return document.activeElement === document.querySelector('{QUERY}')")
    key("j")  # typed, not pressed
    until(explorer, f"return document.querySelector('{QUERY}').value === 'j'")
    assert explorer.execute_script(SHOWN) == lines[1]
    key(Keys.ESCAPE)
    until(explorer, f"{STATUS}.includes('members or more')")


def test_a_dot_of_the_map_leads_to_its_region(explorer):
    until(explorer, "return document.querySelectorAll('.epkit-map button').length > 20")
    dots = explorer.find_elements("css selector", ".epkit-map button")
    boxes = {(round(d.rect["x"]), round(d.rect["y"])) for d in dots}
    assert len(boxes) > len(dots) / 2  # they lie apart
    region = dots[7].get_attribute("title").split()[1].rstrip(":")
    explorer.execute_script("arguments[0].click()", dots[7])
    until(explorer, f"{SHOWN} === '{region}'")
    # A fold that is opened while the card is drawn anew closes: opened until its text is on show.
    until(
        explorer,
        "const fold = document.querySelector('.epkit-card summary').parentElement;"
        "if (!fold.open) fold.querySelector('summary').click();"
        "return fold.open && document.querySelector('.epkit-card .ep-wide').checkVisibility()",
    )


def test_a_second_region_stands_beside(explorer):
    press(explorer, "compare")
    until(explorer, "return document.body.textContent.includes('layer 1, p 5')")
    press(explorer, "layer 1, p 5")
    cards = "document.querySelectorAll('.epkit-explorer .epkit-card')"
    both = f"[...{cards}].filter(e => e.offsetParent)"
    until(explorer, f"return {both}.length === 2")
    places = f"return {both}.map(e => e.getBoundingClientRect().left)"
    left, right = explorer.execute_script(places)
    assert left < right
    code = explorer.execute_script("return document.querySelector('.epkit-code').textContent")
    assert "beside=(1, 5, " in code
    press(explorer, "no region")
    until(explorer, f"return {both}.length === 1")


def test_prompt_tokens_are_coloured_and_lead_to_regions(explorer):
    press(explorer, "prompt")
    until(explorer, f'return document.querySelector("{PROMPT}") !== null')
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
        colour = at(explorer, place, lambda shown: shown.value_of_css_property("color"))
        red, green, blue, *_ = (float(x) for x in colour.split("(")[1].rstrip(")").split(","))
        assert (max(red, green, blue) < 100) == light, (place, colour)


CARD = "return document.querySelector('#card article').dataset.region"
ROWS = "return [...document.querySelectorAll('#list > div')].map(r => Number(r.dataset.region))"


@pytest.fixture
def exported(browser, tmp_path):
    """The browser on a page of 300 regions, with its dictionary and the page's path."""
    d = example_dictionary(k=300, n=6000)
    path = export_html(d, tmp_path / "page.html", WordTokenizer())
    browser.get(path.as_uri())
    yield browser, d, path
    assert "hacked" not in browser.title
    assert browser.execute_script("return document.querySelector('main img')") is None
    assert [e for e in browser.get_log("browser") if path.name in e["message"]] == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def narrow(browser, width=800):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_exported_page_opens_searches_and_follows_links(exported):
    browser, d, _ = exported
    score = interest(Regions(d, WordTokenizer()))
    best = int(np.where(d.counts.numpy() >= 5, score, -1).argmax())
    assert browser.execute_script(CARD) == str(best)
    assert len(browser.execute_script(ROWS)) == 100
    query = browser.find_element("id", "query")
    query.send_keys("onerror=")
    found = browser.execute_script(ROWS)
    assert 0 < len(found) <= 100
    # By the keyboard: the first region, then a neighbour on its card, and back.
    browser.find_element("css selector", "#list > div").send_keys("\n")
    until(browser, f"{CARD} === '{found[0]}'")
    card = Regions(d, WordTokenizer())[found[0]].card
    link = browser.find_element("css selector", "#card .ep-links a")
    assert link.text == str(card.nearest[0].region)
    link.send_keys("\n")
    until(browser, f"{CARD} === '{card.nearest[0].region}'")
    browser.find_element("id", "before").click()
    until(browser, f"{CARD} === '{found[0]}'")
    text = browser.find_element("css selector", "#card").text
    for line in (
        f"Region {found[0]}",
        card.name,
        card.histogram.of,
        "No colour",
        "Nearest regions",
    ):
        assert line in text
    assert IMAGE in text


def test_exported_page_searches_in_all_ways_and_sorts(exported):
    browser, d, _ = exported
    query, status = (browser.find_element("id", name) for name in ("query", "status"))
    pressed = "return document.querySelector('#sorts [aria-pressed=true]').textContent"
    assert browser.execute_script(pressed) == "interest"
    query.send_keys("(")
    assert "is not a regular expression" in status.text
    query.clear()
    query.send_keys("word1 .*word2")
    assert "of 300 regions match" in status.text
    assert browser.execute_script(pressed) == "match"
    query.clear()
    query.send_keys("#77", Keys.ENTER)
    assert browser.execute_script(CARD) == "77"
    query.clear()
    query.send_keys(Keys.ENTER)
    browser.find_element("xpath", "//button[text()='coherence']").click()
    shown = d.coherence[browser.execute_script(ROWS)]
    assert (shown.diff() <= 1e-3).all()
    browser.find_element("id", "next").click()
    assert d.coherence[browser.execute_script(ROWS)].max() <= shown.min() + 1e-3
    least = browser.find_element("id", "least")
    least.clear()
    least.send_keys("20", Keys.ENTER)
    assert (d.counts[browser.execute_script(ROWS)] >= 20).all()


def test_exported_page_needs_few_tab_stops_and_tells_what_it_does(exported):
    browser, _, _ = exported
    stops = 0
    while not browser.execute_script("return !!document.activeElement.closest('#card')"):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        stops += 1
        if stops == 1:
            assert browser.execute_script("return document.activeElement.className") == "skip"
        assert stops <= 10
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if "role" in n}
    roles = {role for role, _ in named}
    assert {"main", "search", "listbox", "option", "status", "heading"} <= roles
    assert not {role for role, name in named if not name} & {
        "button",
        "link",
        "searchbox",
        "listbox",
    }
    for name in ("keep", "beside", "bands"):
        button = browser.find_element("id", name)
        assert button.get_attribute("aria-pressed") == "false"
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
    assert browser.find_element("id", "status").get_attribute("aria-live") == "polite"
    # Arrows move within the list, j and k along it, / to the search.
    row = browser.find_element("css selector", "#list [tabindex='0']")
    row.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    rows = browser.execute_script(ROWS)
    assert browser.execute_script(CARD) == str(rows[1])
    for pressed, place in (("j", 2), ("j", 3), ("k", 2)):
        ActionChains(browser).send_keys(pressed).perform()
        assert browser.execute_script(CARD) == str(rows[place])
    ActionChains(browser).send_keys("/").perform()
    assert browser.execute_script("return document.activeElement.id") == "query"


def test_exported_page_shows_the_card_right_after_a_choice_on_narrow_screens(exported):
    browser, _, path = exported
    narrow(browser)
    browser.get("about:blank")
    browser.get(path.as_uri())
    assert browser.find_element("id", "list").is_displayed()
    browser.find_elements("css selector", "#list > div")[20].click()
    head = "const box = document.querySelector('#card h3').getBoundingClientRect(); "
    assert browser.execute_script(head + "return box.top > 0 && box.bottom < innerHeight / 2")
    assert not browser.find_element("id", "list").is_displayed()
    browser.find_element("id", "back").click()
    assert browser.find_element("id", "list").is_displayed()
    # A link to a region lands on its card, wide and narrow.
    for width in (800, 1500):
        narrow(browser, width)
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}#region-123?beside=7&search=word1")
        shown = "return [...document.querySelectorAll('#card article')].map(a => a.dataset.region)"
        assert browser.execute_script(shown) == ["123", "7"]
        assert browser.execute_script(head + "return box.top >= 0 && box.bottom < innerHeight")
        assert browser.find_element("id", "query").get_attribute("value") == "word1"
        across = "return document.documentElement.scrollWidth <= innerWidth"
        assert browser.execute_script(across)


def test_exported_page_has_a_map_and_bookmarks(exported):
    browser, d, _ = exported
    dots = browser.find_elements("css selector", "#map circle[data-region]")
    assert len(dots) == int((d.counts >= 5).sum())
    region = dots[4].get_attribute("data-region")
    browser.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", dots[4]
    )
    assert browser.execute_script(CARD) == region
    browser.find_element("id", "keep").click()
    rows = browser.execute_script("return JSON.parse(asText(state.kept.map(bookmark), 'json'))")
    assert rows[0]["region"] == int(region)
    assert rows[0]["exemplar"] == int(d.exemplar_index[int(region)])
    said = browser.execute_script("return asText(state.kept.map(bookmark), 'csv')")
    assert said.splitlines()[0].startswith("model,layer,percentile,region,name,members,exemplar")


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
        explorer.query.value = text + "("
        shown = (explorer.status, explorer.about, explorer.panel.card, explorer.code_line)
        parts += [w.value for w in shown]
    explorer.compare.what.value, explorer.bands.value = "region", True
    explorer.mark.click()
    extra = (explorer.compare.panel.card, explorer.compare.panel.title, explorer.bookmarks.links)
    parts += [w.value for w in extra]
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
    assert path.stat().st_size < 10_000_000


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
        until(browser, f"{STATUS}.includes('match “the”')")
        assert any(" the " in line for line in browser.execute_script(LINES))
        press(browser, "prompt")
        until(browser, f'return document.querySelector("{PROMPT}") !== null')
        type_into(browser, PROMPT, "The cat sat in Paris")
        until(browser, "return document.querySelectorAll('.epkit-prompt button').length >= 5")
        token = browser.find_elements("css selector", ".epkit-prompt button")[-1]
        region = token.get_attribute("title").split()[1]
        token.click()
        until(browser, f"{SHOWN} === '{region}'")
        card = at(browser, ".epkit-card", lambda shown: shown.text)
        for title in ("members", "coherence", "Exemplar", "Promoted next tokens", "Distances"):
            assert title in card


def test_the_game_of_the_first_look_is_played(browser, tmp_path):
    # The dictionary that comes with the kit: no model is loaded.
    cells = [
        "from epkit.studies.first_look import show\n"
        "from epkit.studies.first_look.shipped import FACTS\n"
        "look = show.open_look(**FACTS)",
        "show.game(look, 0)",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "look.ipynb")
    with jupyterlab(tmp_path / "notebooks", tmp_path / "home") as address:
        browser.get(f"{address}/lab/tree/look.ipynb?token={TOKEN}&reset")
        until(browser, READY)
        browser.execute_script("void jupyterapp.commands.execute('notebook:run-all-cells')")
        button = "//button[normalize-space()='{}']"
        until(browser, "return [...document.querySelectorAll('button')].some("
              "b => b.textContent.trim() === 'Play')", seconds=120)  # fmt: skip
        alt = "return document.querySelector('img[alt^=\"Map of\"]')?.naturalWidth > 300"
        assert browser.execute_script(alt)
        browser.find_element("xpath", button.format("Play")).click()
        said = "return document.body.innerText.includes(arguments[0])"
        for n in range(10):
            until(browser, said, f"Round {n + 1} of 10")
            label = ("EP's region", "a random exemplar's")[n % 2]
            browser.find_element("xpath", f'//button[normalize-space()="{label}"]').click()
        until(browser, "return [...document.querySelectorAll('button')].some("
              "b => b.textContent.trim() === 'Play again')")  # fmt: skip
