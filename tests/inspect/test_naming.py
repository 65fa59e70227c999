"""Names of regions: the rule, what a user gives, and the file beside the dictionary."""

import json
import time

import pytest
import torch
from region_examples import WordTokenizer, built_atlas, example_dictionary

from epkit.inspect.naming import LONGEST_NAME, dictionary_digest, group_name
from epkit.inspect.regions import Regions

SINGLE = list("abcdefgh")


@pytest.mark.parametrize(
    ("tokens", "before", "name"),
    [
        ([" dog"] * 4, SINGLE[:4], "dog"),
        ([" the"] * 4, [" of", " of", "Of", " in"], "the, after 'of'"),
        ([" dog", "Dog", " DOG", " dog"], SINGLE[:4], "dog"),
        ([" running", " jumping", " standing", " x"], SINGLE[:4], "-ing"),
        ([" 1", " 23", " 4", " 5"], [" in"] * 4, "after 'in'"),
        ([" 1", " 23", " 4", " 5"], SINGLE[:4], "[number]"),
        (["\n"] * 3, SINGLE[:3], "⏎"),
        ([" dog", " Dog", " cat", " tree", " sky", " cat", " dog"], SINGLE[:7], "≈ dog | cat"),
        ([" dog"], [""], "≈ dog"),
        ([" ", " ", "a", "b"], SINGLE[:4], "≈ ␣ | a"),
        ([" dog", " dog"], ["", ""], "≈ dog"),
        (["\u202etxt\x00"] * 3, SINGLE[:3], "·txt·"),
        ([" " + "x" * 90] * 3, SINGLE[:3], "x" * 17 + "…"),
    ],
)
def test_a_name_says_what_is_shared(tokens, before, name):
    assert group_name(tokens, before) == name


def test_a_region_is_named_by_its_random_members():
    d = example_dictionary()
    regions = Regions(d, WordTokenizer())
    assert len(regions.names) == len(d)
    for k in (0, 7):
        index, gap = d.members.of(k, "random")
        index = index[gap.argsort()]
        contexts = [d.members.context(int(i), 1) for i in index]
        before = ["".join(WordTokenizer().words[t] for t in c[0]) for c in contexts]
        tokens = [WordTokenizer().words[c[1]] for c in contexts]
        assert regions.names[k] == group_name(tokens, before) == regions[k].card.name
    assert repr(regions[7]) == f"Region(7, {regions.names[7]!r}, {int(d.counts[7]):,} members)"


def test_twenty_thousand_names_take_seconds():
    regions = Regions(example_dictionary(k=20_000, n=60_000), WordTokenizer())
    began = time.process_time()
    assert len(regions.names) == 20_000
    assert time.process_time() - began < 2


def test_a_new_name_stands_wherever_the_region_is_mentioned():
    regions = Regions(example_dictionary(), WordTokenizer())
    other = regions[3].card.nearest[0].region
    regions.rename(other, "  dogs\nof war ")
    assert regions.names[other] == regions[other].card.name == "dogs of war"
    assert regions[3].card.nearest[0].label == "dogs of war"  # a card that was made before
    assert "dogs of war" in regions[other].to_html()
    regions.rename(other, "x" * 300)
    assert len(regions.names[other]) == LONGEST_NAME


@pytest.mark.parametrize(
    ("region", "name", "error", "said"),
    [
        (40, "a", ValueError, "region must be in 0 … 39"),
        ("1", "a", TypeError, "region must be"),
        (1, 5, TypeError, "name must be text, got a int"),
        (1, " \n", ValueError, "name of region 1 is empty"),
    ],
)
def test_what_is_no_name_is_refused(region, name, error, said):
    with pytest.raises(error, match=said):
        Regions(example_dictionary(), WordTokenizer()).rename(region, name)


def test_a_function_names_regions_from_their_cards():
    regions = Regions(example_dictionary(), WordTokenizer())
    regions.name_by(lambda card: f"{card.label} of {card.count}", [2, 5])
    assert regions.names[5] == f"{regions.labels[5]} of {int(regions.dictionary.counts[5])}"
    assert set(regions.book.given) == {2, 5}


def test_names_are_kept_beside_their_dictionary(tmp_path):
    d, path = example_dictionary(), tmp_path / "names.json"
    regions = Regions(d, WordTokenizer())
    regions.rename(3, "¡señor <b>!")
    regions.save_names(path)
    again = Regions(d, WordTokenizer())
    again.load_names(path)
    assert again.names == regions.names
    assert again.book.given == {3: "¡señor <b>!"}
    assert "señor &lt;b&gt;!" in again[3].to_html()

    with pytest.raises(ValueError, match="names the regions of another dictionary"):
        Regions(example_dictionary(seed=1), WordTokenizer()).load_names(path)
    with pytest.raises(FileNotFoundError):
        again.load_names(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dictionary": "", "names": [1], "given": [9]}'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(ValueError, match="holds no names of regions"):
        Regions(example_dictionary(), WordTokenizer()).load_names(tmp_path / "names.json")


def test_a_damaged_file_is_refused(tmp_path):
    d = example_dictionary()
    about = {"dictionary": dictionary_digest(d), "names": ["a"], "given": []}
    (tmp_path / "names.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="not one name for every region"):
        Regions(d, WordTokenizer()).load_names(tmp_path / "names.json")


def test_a_card_tells_whether_promoted_tokens_come_next():
    model, atlas = built_atlas()
    d = atlas[1, 5]
    regions = Regions(d, model)
    for k in range(min(4, len(d))):
        card = regions[k].card
        kept = torch.cat([d.members.of(k, kind)[0] for kind in ("closest", "random", "farthest")])
        promoted = set(regions.promoted.of([k]).promoted[0].tolist())
        after = [d.members.context(int(i), 1)[2] for i in kept.unique()]
        assert card.foretold == (
            sum(bool(a) and a[0] in promoted for a in after),
            sum(bool(a) for a in after),
        )
    assert Regions(d, model.tokenizer)[0].card.foretold is None
