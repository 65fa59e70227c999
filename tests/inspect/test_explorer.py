"""The explorer, its prompt and its panel: what a click does, from one thread or several."""

import asyncio
import contextlib
import re
import threading
import time

import numpy as np
import pytest
import torch
from region_examples import IMAGE, TEXTS, WordTokenizer, built_atlas, example_dictionary
from traitlets import TraitError

import epkit
from epkit.inspect.explorer import RegionExplorer
from epkit.inspect.interest import MIN_MEMBERS, dictionary_to_open, interest
from epkit.inspect.listing import PAGE
from epkit.lm.activations import ActivationStream
from epkit.lm.store import cached
from epkit.lm.text import as_html


@pytest.fixture(scope="module")
def built():
    return built_atlas()


@pytest.fixture
def explorer(built):
    return RegionExplorer(*built)


def listed(explorer):
    return [region for _, region in explorer.list.options]


def test_opens_on_the_most_interesting_region_with_its_neighbours(explorer, built):
    assert explorer.key == dictionary_to_open(built[1]) == (2, 1)
    score = interest(explorer.regions)
    large = built[1][2, 1].counts.numpy() >= MIN_MEMBERS
    assert explorer.region == np.where(large, score, -1).argmax() == listed(explorer)[0]
    assert len(listed(explorer)) == PAGE
    assert f'data-region="{explorer.region}"' in explorer.panel.card.value
    assert [b.region for b in explorer.panel.nearest] == [
        link.region for link in explorer.regions.card(explorer.region, refined=False).nearest
    ]


def test_layer_and_percentile_choose_the_dictionary(explorer, built):
    explorer.percentile.value = 5
    assert explorer.regions.dictionary is built[1][2, 5]
    assert "70 regions" in explorer.about.value
    explorer.layer.value = 1
    assert explorer.regions.dictionary is built[1][1, 5]


def test_opens_what_is_asked_for_and_says_what_is_not_there(built):
    explorer = RegionExplorer(*built, layer=1, percentile=5, region=7, sort="size", min_members=2)
    assert explorer.key == (1, 5)
    assert explorer.region == 7
    assert explorer.sort.value == "size"
    assert (built[1][1, 5].counts[listed(explorer)] >= 2).all()
    with pytest.raises(ValueError, match="no dictionary of layer 1 and percentile 3"):
        RegionExplorer(*built, layer=1, percentile=3)
    with pytest.raises(IndexError, match="region 5000 is outside"):
        RegionExplorer(*built, region=5000)
    with pytest.raises(ValueError, match="sort must be one of"):
        RegionExplorer(*built, sort="beauty")


def test_its_line_of_code_opens_the_same(built):
    explorer = RegionExplorer(*built, percentile=1)
    explorer.min_members.value = 3
    explorer.query.value = "P"
    explorer.sort.value = "size"
    explorer.list.value = listed(explorer)[2]
    explorer.compare.what.value = (1, 5)
    line = explorer.code()
    assert as_html(line) in explorer.code_line.value
    model, atlas = built
    again = eval(line, {"epkit": epkit, "model": model, "atlas": atlas})
    assert again.code() == line
    assert listed(again) == listed(explorer)
    assert again.panel.card.value == explorer.panel.card.value
    assert again.compare.panel.card.value == explorer.compare.panel.card.value


def test_jump_surprise_and_steps(explorer):
    explorer.jump.value = 33
    assert explorer.region == 33
    explorer.jump.value = 9999
    assert "regions are numbered 0 … 240" in explorer.status.value
    assert explorer.region == 33
    rows = explorer._rows
    explorer.surprise.click()
    assert explorer.region in rows
    explorer.list.value = listed(explorer)[0]
    explorer.down.click()
    assert explorer.region == rows[1]
    explorer.up.click()
    explorer.up.click()
    assert explorer.region == rows[0]
    for _ in range(PAGE):
        explorer.down.click()
    assert explorer.region == rows[PAGE] == listed(explorer)[0] == explorer.list.value


def test_escape_clears_the_search_then_what_stands_beside(explorer):
    explorer.query.value = "P"
    explorer.compare.what.value = (2, 5)
    explorer.escape.click()
    assert explorer.query.value == ""
    assert explorer.sort.value == "interest"
    assert explorer.compare.beside is not None
    explorer.escape.click()
    assert explorer.compare.beside is None


def test_bookmarks_lead_back_to_their_dictionary(explorer):
    region = explorer.region
    explorer.mark.click()
    assert explorer.mark.description == "★ bookmarked"
    explorer.layer.value = 1
    assert explorer.mark.description == "☆ bookmark"
    explorer.bookmarks.list.value = (2, 1, region)
    assert explorer.key == (2, 1)
    assert explorer.region == region
    explorer.mark.click()
    assert explorer.bookmarks.kept == {}


def test_tools_stand_above_the_list_one_at_a_time(explorer):
    assert explorer.tools.children == ()
    explorer.tool.value = "map"
    explorer.map.thread.join(60)
    assert explorer.tools.children == (explorer.map,)
    target = explorer.map.dots.options[3][1]
    explorer.map.dots.value = target
    assert explorer.region == target
    explorer.tool.value = "prompt"
    assert explorer.tools.children == (explorer.prompt,)
    explorer.bands.value = True
    assert "Near: " in explorer.panel.card.value


def test_keys_press_buttons_that_are_there(explorer):
    script = explorer.children[-1].outputs[0]["data"]["application/javascript"]
    name = next(c for c in explorer._dom_classes if c not in ("epkit-explorer",))
    assert f'querySelector(".{name}")' in script
    pressed = set(re.findall(r'press\("(\w+)"\)', script))
    assert pressed == {"next", "previous", "escape"}
    buttons = (explorer.up, explorer.down, explorer.escape)
    assert {c for b in buttons for c in b._dom_classes} >= {f"epkit-key-{key}" for key in pressed}
    assert "epkit-query" in explorer.query._dom_classes


def test_list_pages_and_choosing_a_line_shows_the_region(explorer):
    first = listed(explorer)
    explorer.next.click()
    assert not set(listed(explorer)) & set(first)
    assert explorer.list.value is None
    explorer.list.value = region = listed(explorer)[3]
    assert explorer.region == region
    assert f'data-region="{region}"' in explorer.panel.card.value
    explorer.previous.click()
    assert listed(explorer) == first
    explorer.back.click()
    assert explorer.region == first[0]
    assert explorer.back.disabled


def test_neighbours_lead_on_and_keep_their_buttons(explorer):
    buttons = list(explorer.panel.nearest)
    target = buttons[2].region
    buttons[2].click()
    assert explorer.region == target
    assert explorer.panel.nearest == buttons
    assert target not in [b.region for b in explorer.panel.nearest]
    explorer.sort.value = "nearest"
    assert listed(explorer)[0] == target
    other = explorer.panel.nearest[0].region
    assert listed(explorer)[1] == other
    explorer.panel.nearest[0].click()
    assert listed(explorer)[0] == other


def test_search_narrows_the_list_and_turns_the_order(explorer):
    explorer.query.value = "c"
    everything = len(explorer.regions)
    assert 0 < len(listed(explorer)) < everything
    assert "by a member token" in explorer.status.value
    assert explorer.sort.value == "match"
    explorer.query.value = r"Par.s"
    assert "0 by a member token" in explorer.status.value
    assert "Paris" in explorer.list.options[0][0]
    explorer.query.value = "(<b>"
    assert "is not a regular expression" in explorer.status.value
    assert "&lt;b&gt;" in explorer.status.value
    assert "0–0 of 0" in explorer.page.value
    explorer.query.value = ""
    assert explorer.sort.value == "interest"
    assert "have 5 members or more" in explorer.status.value


def test_prompt_tokens_lead_to_the_region_that_assign_gives(explorer, built):
    model, atlas = built
    prompt = "In Paris." + IMAGE
    explorer.prompt.text.value = prompt
    stream = ActivationStream(model, [prompt], [2])
    region, distance = atlas[2, 1].assign(next(stream.chunks()).activations[2])
    labels = [label for label, _ in explorer.prompt.tokens.options]
    assert labels[:4] == ["I", "n", "␣", "P"]
    assert labels[-1] == IMAGE
    assert len(labels) == len(region)
    explorer.prompt.tokens.value = 3
    assert explorer.region == int(region[3])
    assert f"distance {distance[3]:.3f}" in explorer.prompt.tokens.tooltips[3]
    assert f"nth-child({len(labels)})" in explorer.prompt.colours.value
    explorer.layer.value = 1
    region, _ = atlas[1, 1].assign(
        next(ActivationStream(model, [prompt], [1]).chunks()).activations[1]
    )
    explorer.prompt.tokens.value = 0
    assert explorer.region == int(region[0])
    explorer.prompt.text.value = ""
    assert explorer.prompt.tokens.layout.display == "none"


def test_contexts_are_shaded_between_clicks(built):
    async def session():
        explorer = RegionExplorer(*built)
        assert "being computed" in explorer.panel.card.value
        explorer.panel.nearest[0].click()  # the task of the first region is dropped
        await asyncio.wait_for(asyncio.wrap_future(explorer.panel._task), 30)
        return explorer

    explorer = asyncio.run(session())
    assert "being computed" not in explorer.panel.card.value
    assert f'data-region="{explorer.region}"' in explorer.panel.card.value
    assert "--c:" in explorer.panel.card.value
    assert any(b.layout.display == "" for b in explorer.panel.competitors)


def test_given_activations_shade_at_once(built, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    model, atlas = built
    stream = ActivationStream(model, TEXTS, [1, 2], context=64)
    explorer = RegionExplorer(model, atlas, activations=cached(stream, 900, show_progress=False))
    assert "--c:" in explorer.panel.card.value


def test_tokenizer_alone_leaves_the_prompt_out(built):
    model, atlas = built
    explorer = RegionExplorer(model.tokenizer, atlas)
    assert explorer.prompt.text.disabled
    assert "No colour" in explorer.panel.card.value
    explorer.query.value = "a"
    assert "needs the model or a logit lens" in explorer.status.value
    with pytest.raises(ValueError, match="atlas is empty"):
        RegionExplorer(model, {})


def test_hostile_tokens_are_escaped_wherever_html_is_read():
    explorer = RegionExplorer(WordTokenizer(), {(1, 1): example_dictionary()})
    seen = set()
    for k in range(40):
        explorer.go(k)
        for html in (explorer.panel.card.value, explorer.status.value, explorer.about.value):
            assert "<img" not in html
            assert "<script" not in html
            seen |= {"image"} if "&lt;img src=x" in html else set()
    assert seen == {"image"}


def test_answers_within_a_third_of_a_second_at_twenty_thousand_regions():
    d = example_dictionary(k=20_000, n=1_000_000, dim=256)
    words = ["<bos>", *(f" word{i}" for i in range(4999))]
    generator = np.random.default_rng(0)
    tokens = torch.from_numpy(generator.integers(1, 5000, len(d.members.tokens))).int()
    d.members.tokens.copy_(torch.where(d.members.clustered, tokens, 0))
    explorer = RegionExplorer(WordTokenizer(words), {(1, 1): d})
    explorer.query.value = "word77"  # lays the indexes out, once

    def change(widget, values):
        return [lambda v=v: setattr(widget, "value", v) for v in values]

    explorer.tool.value = "map"
    explorer.map.thread.join(120)
    actions = {
        "search": change(explorer.query, ["word1", "word44", "word9", "word777"]),
        "expression": change(explorer.query, [r"word12 word\d", r"word3(3|4)4", r"\bword9\b"]),
        "clear": change(explorer.query, [""]),
        "size": change(explorer.sort, ["coherence", "size", "interest"]),
        "nearest": change(explorer.sort, ["nearest", "size", "nearest"]),
        "neighbour": [explorer.panel.nearest[0].click, explorer.panel.nearest[1].click],
        "list": [lambda i=i: setattr(explorer.list, "value", listed(explorer)[i]) for i in (4, 9)],
        "page": [explorer.next.click, explorer.next.click],
        "steps": [explorer.down.click, explorer.down.click],
        "jump": change(explorer.jump, [44, 12_345]),
        "map": change(explorer.map.dots, [explorer.map.dots.options[i][1] for i in (7, 70)]),
        "members": change(explorer.min_members, [9, 20]),
        "bands": change(explorer.bands, [True, False]),
        "bookmark": [explorer.mark.click, explorer.mark.click],
    }
    # Seconds of the processor: on a machine that others share the clock tells of them.
    for name, acts in actions.items():
        took = []
        for act in acts:
            began = time.process_time()
            act()
            took.append(time.process_time() - began)
        assert min(took) < 0.3, (name, took)


def test_prompts_and_shading_in_two_threads_do_not_meet(built):
    explorer = RegionExplorer(*built)
    failed = []

    def shade():
        try:
            for k in range(40):
                explorer.regions.card(k)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=shade)
    thread.start()
    for i in range(40):
        explorer.prompt.text.value = f"In Paris {i}"
    thread.join(60)
    assert failed == []
    assert len(explorer.prompt.tokens.options) == len("In Paris 39")


def check_state(explorer, atlas):
    """What is on show belongs together."""
    key = (explorer.layer.value, explorer.percentile.value)
    assert explorer.regions.dictionary is atlas[key]
    assert f'data-region="{explorer.region}"' in explorer.panel.card.value
    near = explorer.regions.card(explorer.region, refined=False).nearest
    assert [b.region for b in explorer.panel.nearest] == [link.region for link in near]
    shown = listed(explorer)
    assert explorer.list.value == (explorer.region if explorer.region in shown else None)
    assert set(shown) <= set(range(len(atlas[key])))


def test_clicks_in_several_threads_leave_a_state_that_belongs_together(built):
    model, atlas = built
    explorer = RegionExplorer(model.tokenizer, atlas)
    failed = []

    def clicks(seed):
        draw = np.random.default_rng(seed)
        buttons = [*explorer.panel.nearest, explorer.next, explorer.previous, explorer.back]
        try:
            for _ in range(25):
                what = int(draw.integers(8))
                if what == 0:
                    explorer.percentile.value = (1, 5)[draw.integers(2)]
                elif what == 1:
                    explorer.sort.value = ("size", "nearest")[draw.integers(2)]
                elif what == 2:
                    explorer.query.value = ("", "a", "e")[draw.integers(3)]
                elif what == 3:
                    explorer.layer.value = (1, 2)[draw.integers(2)]
                elif what == 4 and listed(explorer):
                    with contextlib.suppress(TraitError):  # the list is another by now
                        explorer.list.value = listed(explorer)[0]
                else:
                    buttons[draw.integers(len(buttons))].click()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=clicks, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    check_state(explorer, atlas)


def test_two_explorers_of_one_model_click_while_both_are_colouring(built):
    async def session():
        pair = [RegionExplorer(*built) for _ in range(2)]
        for i in range(4):
            for explorer in pair:
                explorer.panel.nearest[i % 2].click()
            await asyncio.sleep(0.02)  # some steps of either
        for explorer in pair:
            await asyncio.wait_for(asyncio.wrap_future(explorer.panel._task), 30)
        return pair

    one, other = asyncio.run(session())
    assert one.region == other.region
    assert one.panel.card.value == other.panel.card.value
    for explorer in (one, other):
        check_state(explorer, built[1])
        assert "being computed" not in explorer.panel.card.value


def test_a_click_during_counting_loses_no_count(built, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    monkeypatch.setattr("epkit.inspect.evidence.BLOCK", 20)
    model, atlas = built
    stream = ActivationStream(model, TEXTS, [1, 2], context=64)
    activations = cached(stream, 900, show_progress=False)

    async def session():
        explorer = RegionExplorer(model, atlas, activations=activations)
        await asyncio.sleep(0.05)
        assert not explorer.regions.counts.done
        assert "counting" in explorer.panel.competitors_of.value
        explorer.panel.nearest[0].click()
        explorer.regions.card(explorer.region)  # counts the rest at once
        await asyncio.wait_for(asyncio.wrap_future(explorer.panel._task), 30)
        return explorer

    explorer = asyncio.run(session())
    check_state(explorer, atlas)
    counts = explorer.regions.counts
    assert int(counts.histogram.sum()) == len(explorer.regions.source.x)
    assert "activations" in explorer.panel.competitors_of.value


@pytest.mark.parametrize("given", [None, "atlas", [1], 3])
def test_what_is_no_atlas(built, given):
    with pytest.raises(TypeError, match="atlas must be"):
        RegionExplorer(built[0], given)
