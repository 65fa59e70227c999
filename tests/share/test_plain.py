"""Plain files say what the dictionary and its cards say, with the same bytes every time."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.regions import Regions
from epkit.share import save_cards, save_vectors


@pytest.fixture(scope="module")
def d():
    return example_dictionary(k=6)


def test_vectors_come_back_and_files_are_equal(d, tmp_path):
    path = save_vectors(d, tmp_path / "deep" / "d.npz")
    with np.load(path, allow_pickle=False) as found:
        assert sorted(found) == sorted(
            ["centre", "exemplars", "means", "counts", "coherence", "threshold"]
        )
        assert float(found["threshold"]) == d.threshold
        for name in set(found) - {"threshold"}:
            np.testing.assert_array_equal(found[name], getattr(d, name))
    again = save_vectors(d, tmp_path / "again.npz")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "deep"]


def test_cards_are_plain_json(d, tmp_path):
    regions = Regions(d, WordTokenizer())
    cards = json.loads(save_cards(regions, tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [card["region"] for card in cards] == list(range(6))
    card = regions.card(3)
    for name in ("label", "count", "share", "coherence", "threshold", "position", "promoted"):
        assert cards[3][name] == getattr(card, name)
    assert cards[3]["exemplar"]["tokens"] == card.exemplar.tokens
    assert "\x1b" not in json.dumps(cards, ensure_ascii=False)
    some = json.loads(save_cards(regions, tmp_path / "some.json", [4, 1]).read_text())
    assert some == [cards[4], cards[1]]


def test_what_has_no_number_is_null(d, tmp_path):
    regions = Regions(d, WordTokenizer())
    object.__setattr__(regions.card(0), "coherence", float("nan"))
    card, *_ = json.loads(save_cards(regions, tmp_path / "c.json", [0]).read_text())
    assert card["coherence"] is None


@pytest.mark.parametrize("path", ["x.txt", "", 3, None, "x.npz.json.gz"])
def test_a_path_that_cannot_be_gets_one_sentence(d, path):
    for save, value in ((save_vectors, d), (save_cards, Regions(d, WordTokenizer()))):
        with pytest.raises((ValueError, TypeError), match="path") as error:
            save(value, path)
        assert "\n" not in str(error.value)


def test_a_region_that_is_not_there(d, tmp_path):
    with pytest.raises(ValueError, match="region"):
        save_cards(Regions(d, WordTokenizer()), tmp_path / "c.json", [6])
    assert list(tmp_path.iterdir()) == []


def test_the_table_has_a_row_for_every_region(d):
    table = d.to_frame()
    assert list(table) == [
        "region", "name", "count", "share", "coherence", "threshold", "position",
        "distance_mean", "distance_std",
    ]  # fmt: skip
    assert table["region"].tolist() == list(range(6))
    assert set(table["name"]) == {""}
    assert table["count"].tolist() == d.counts.tolist()
    assert table["share"].sum() == pytest.approx(1)
    assert table["position"].tolist() == d.exemplar_index.tolist()
    torch.testing.assert_close(torch.tensor(table["coherence"].to_numpy()), d.coherence)
    assert set(table["threshold"]) == {d.threshold}


@pytest.mark.parametrize("names", [["a", "b", "c", "d", "e", "f"], ["a"], "abcdef", None])
def test_names_are_taken_where_there_is_one_for_every_region(d, names):
    d.metadata["names"] = names
    try:
        found = d.to_frame()["name"].tolist()
    finally:
        del d.metadata["names"]
    assert found == (names if isinstance(names, list) and len(names) == 6 else [""] * 6)


def test_with_a_tokenizer_the_table_has_tokens_nearest_first(d):
    tokenizer = WordTokenizer()
    table = d.to_frame(tokenizer)
    assert list(table)[:-1] == list(d.to_frame())
    for region, found in enumerate(table["top_tokens"]):
        ids = d.members.token_of(d.members.of(region)[0]).tolist()
        assert found == list(dict.fromkeys(tokenizer.decode([i]) for i in ids))
    with pytest.raises(ValueError, match="no members"):
        replace(d, members=None).to_frame(tokenizer)
