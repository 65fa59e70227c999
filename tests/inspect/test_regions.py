"""What regions say of themselves, against the stream they were made from."""

import threading

import numpy as np
import pytest
import torch
from region_examples import LONG, TEXTS, WORDS, WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.evidence import BINS, NearestCounts
from epkit.inspect.facts import WIDTH
from epkit.inspect.regions import Regions
from epkit.lm.activations import ActivationStream
from epkit.lm.lens import logit_lens
from epkit.lm.store import cached
from epkit.lm.text import LONGEST


@pytest.fixture(scope="module")
def built():
    return built_atlas()


@pytest.fixture
def activations(built, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    stream = ActivationStream(built[0], TEXTS, [1, 2], context=64)
    return cached(stream, 900, show_progress=False)


def test_spans_are_those_of_members_context():
    d = example_dictionary()
    text = Regions(d, WordTokenizer()).text
    index = np.array([0, 1, 48, 49, 500, 3000])
    for width in (3, WIDTH):
        for i, low, at, high in zip(index, *text.spans(index, width), strict=True):
            before, own, after = d.members.context(int(i), width)
            assert text.tokens[low:high].tolist() == [*before, own, *after]
            assert at - low == len(before)


def test_card_says_what_the_dictionary_holds():
    d = example_dictionary()
    regions = Regions(d, WordTokenizer())
    k = int((d.counts > 8).nonzero()[0])
    card = regions[k].card
    assert (card.count, card.position) == (int(d.counts[k]), int(d.exemplar_index[k]))
    assert card.share == pytest.approx(card.count / d.n)
    assert card.exemplar.tokens[card.exemplar.at].strip() == card.label.strip()
    assert [c.distance for c in card.members["farthest"]] == d.members.of(k, "farthest")[1].tolist()
    assert card.colour == "plain"
    assert card.promoted is None
    assert card.competitors == []
    gap = 1 - d.exemplars @ d.exemplars[k]
    assert [link.region for link in card.nearest] == gap.argsort()[1:7].tolist()
    few = int((d.counts <= 8).nonzero()[0])
    assert list(regions[few].card.members) == ["all"]
    assert len(regions[few].card.members["all"]) == int(d.counts[few])


def direct(built, layer, region, d):
    """u·e of all tokens with an exemplar, from the stream itself: (n,)."""
    stream = ActivationStream(built[0], TEXTS, [layer], context=64)
    x = torch.cat([c.activations[layer] for c in stream.chunks()])[:900]
    return x, d.directions(x) @ d.exemplars[region]


def test_shade_is_the_cosine_of_every_token(built, activations):
    model, atlas = built
    d = atlas[2, 5]
    for regions in (Regions(d, model), Regions(d, model.tokenizer, activations=activations)):
        for k in (0, int(d.counts.argmax())):
            _, cosine = direct(built, 2, k, d)
            for kind, contexts in regions[k].card.members.items():
                index, _ = d.members.of(k, "closest" if kind == "all" else kind)
                for i, context in zip(index.tolist(), contexts, strict=True):
                    own = slice(i - context.at, i - context.at + len(context.tokens))
                    expected = cosine[own].numpy()
                    expected = np.pad(
                        expected, (0, len(context.tokens) - len(expected)), constant_values=np.nan
                    )
                    np.testing.assert_allclose(context.cosines, expected, atol=2e-5)
                    if regions.counts is None:
                        gap = 1 - context.cosines[context.at]
                        assert gap == pytest.approx(context.distance, abs=2e-5)


def test_competitors_and_histogram_against_a_direct_count(built, activations):
    model, atlas = built
    d = atlas[1, 5]
    regions = Regions(d, model, activations=activations)
    k = int(d.counts.argmax())
    x, _ = direct(built, 1, k, d)
    order = d.distances(x).argsort(dim=1)
    mine = order[:, 0] == k
    card = regions[k].card
    second, n = order[mine, 1].unique(return_counts=True)
    assert {(link.region, link.value) for link in card.competitors} <= {
        (a, f"{b}×") for a, b in zip(second.tolist(), n.tolist(), strict=True)
    }
    assert card.competitors[0].value == f"{n.max()}×"
    assert sum(card.histogram.bars) == int(mine.sum())
    gap = d.distances(x)[mine, k]
    bars = torch.histc(gap, BINS, 0, d.threshold)
    assert card.histogram.bars == pytest.approx(bars.tolist(), abs=1)  # a value on an edge


def test_lens_of_the_means_is_asked_row_by_row(built):
    model, atlas = built
    d = atlas[2, 1]
    whole = logit_lens(model, d.means, k=10)
    regions = Regions(d, model)
    rows = regions.promoted.of(np.array([5, 2]))
    assert torch.equal(rows.promoted, whole.promoted[[5, 2]])
    assert not regions.promoted.complete
    given = Regions(d, model.tokenizer, lens=whole)
    for kind in ("promoted", "suppressed"):
        (words, logits), (expected, values) = (
            zip(*getattr(r[5].card, kind), strict=True) for r in (given, regions)
        )
        assert words == expected
        assert logits == pytest.approx(values, abs=1e-4)


def test_refining_in_steps_ends_in_the_same_card(built):
    model, atlas = built
    regions = Regions(atlas[2, 1], model)
    assert regions.pending(3)
    quick = regions.card(3, refined=False)
    assert quick.colour == "pending"
    steps = sum(1 for _ in regions.refine(3))
    assert steps > 1
    card = regions.card(3)
    assert card.colour == "coloured"
    assert not regions.pending(3)
    assert regions.card(3, refined=False) is card
    assert list(regions.refine(3)) == []


def test_bad_input_gets_one_sentence(built, activations):
    model, atlas = built
    d = atlas[1, 1]
    x, _ = direct(built, 1, 0, d)
    with pytest.raises(ValueError, match="keeps no members"):
        Regions(d.recount(x), model)
    with pytest.raises(TypeError, match="expected a model or a tokenizer, got a str"):
        Regions(d, "model")
    with pytest.raises(ValueError, match="not on these weights of tiny-llama"):
        Regions(example_dictionary(dim=8), model)
    with pytest.raises(ValueError, match="lens has 61 rows for 237 regions"):
        Regions(d, model, lens=logit_lens(model, atlas[1, 5].means))
    with pytest.raises(ValueError, match="not of the stream"):
        Regions(example_dictionary(), WordTokenizer(), activations=activations)
    with pytest.raises(IndexError, match="region 237 is outside"):
        Regions(d, model)[237]
    assert len(WORDS) == len(set(WORDS))


def test_threads_that_count_together_count_once():
    d = example_dictionary()
    x = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    alone, shared = NearestCounts(d, x), NearestCounts(d, x)
    alone.finish(show=False)
    threads = [threading.Thread(target=shared.finish, args=(False,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert torch.equal(alone.histogram, shared.histogram)
    assert int(shared.histogram.sum()) == len(x)
    for k in range(len(d)):
        assert alone.second(k, 6) == shared.second(k, 6)


def test_a_very_long_token_is_cut_wherever_it_is_shown():
    d = example_dictionary()
    words = [LONG if word == " word1" else word for word in WORDS]
    regions = Regions(d, WordTokenizer(words))
    cut = 0
    for k in range(len(d)):
        card = regions[k].card
        for context in (card.exemplar, *(c for cs in card.members.values() for c in cs)):
            assert max(map(len, context.tokens)) <= LONGEST
            cut += any(t.endswith("…") for t in context.tokens)
        assert len(card.label) <= LONGEST
        assert len(regions[k].to_html()) < 200_000
    assert cut > 10


@pytest.mark.parametrize("region", [True, 1.0, "1", None, 1.5])
def test_a_region_is_a_whole_number(region):
    regions = Regions(example_dictionary(), WordTokenizer())
    with pytest.raises(TypeError, match="region must be a whole number"):
        regions[region]
    with pytest.raises(TypeError, match="region must be a whole number"):
        regions.card(region)
    assert regions[np.int64(3)].index == 3
    assert regions[-1].index == len(regions) - 1


@pytest.mark.parametrize("given", [None, "d", {}, 3])
def test_what_is_no_dictionary(given):
    with pytest.raises(TypeError, match="expected a Dictionary, got a"):
        Regions(given, WordTokenizer())


@pytest.mark.parametrize("name", ["lens", "activations"])
def test_what_is_no_lens_and_no_activations(name):
    with pytest.raises(TypeError, match=r"expected a (LogitLens|ActivationSet), got a list"):
        Regions(example_dictionary(), WordTokenizer(), **{name: [1]})
