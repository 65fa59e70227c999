"""Labelled sets: families, seeded choice, split hygiene, activations of the last token."""

import numpy as np
import pandas as pd
import pytest
import tiny_models

from epkit.files import cache_dir
from epkit.studies.sae_and_probes import sets as probing_sets
from epkit.studies.sae_and_probes.sets import (
    FAMILIES,
    balanced_order,
    check_split,
    distinct_texts,
    family_of,
    last_token_activations,
    load_set,
    normalised,
    train_test_rows,
)

NUMBERS = sorted(number for numbers in FAMILIES.values() for number in numbers)


@pytest.fixture
def suite(monkeypatch):
    """Makes `load_set` read a table given by the test."""
    tables = {}
    monkeypatch.setattr(probing_sets, "labelled_set", tables.__getitem__)
    return tables


def table(n=400, words=6, labels=(0, 1)):
    """n rows of which every fourth repeats the one before but for whitespace."""
    texts = [f"text {' '.join(['word'] * (words - 2))} {i}" for i in range(n)]
    rows = pd.DataFrame({"prompt": texts, "target": [labels[i // 2 % 2] for i in range(n)]})
    for i in range(3, n, 4):
        rows.loc[i, "prompt"] = rows.prompt[i - 1].replace(" ", "\n  ") + "\t"
    return rows


def test_families_hold_113_sets_each_once():
    assert len(NUMBERS) == len(set(NUMBERS)) == 113
    assert family_of("87_glue_cola") == "GLUE"
    for name in ("2_hist_fig_birthyear", "glue", "5000_x"):
        with pytest.raises(ValueError, match="no binary set"):
            family_of(name)


def test_distinct_texts_by_hand():
    texts = ["a  b", "a b\n", "c", "c ", "d", "  ", "e"]
    labels = [True, True, True, False, False, True, False]
    kept, kept_labels, repeated, contradictory = distinct_texts(texts, labels)
    assert kept == ["a  b", "d", "e"]
    assert kept_labels.tolist() == [True, False, False]
    assert (repeated, contradictory) == (2, 2)  # "a b" again and the blank; both "c"


def test_texts_with_the_same_end_are_the_same_where_only_the_end_is_read():
    texts, labels = ["one long end", "two long  end", "other"], [True, True, False]
    assert len(distinct_texts(texts, labels)[0]) == 3
    assert distinct_texts(texts, labels, tail=8)[0] == ["one long end", "other"]
    with pytest.raises(ValueError, match="in training and in test"):
        check_split(texts[:1], texts[1:], tail=8)


def test_order_is_balanced_and_as_long_as_the_rarer_class_lasts():
    labels = np.array([True] * 5 + [False] * 20)
    order = balanced_order(labels, seed=0)
    assert len(order) == len(set(order)) == 10
    assert labels[order].tolist() == [True, False] * 5
    with pytest.raises(ValueError, match="only 3 distinct texts"):
        balanced_order(labels[2:], seed=0)


@pytest.mark.parametrize(
    ("n", "train", "test"), [(5000, 1024, 3976), (1124, 1024, 100), (700, 600, 100), (152, 102, 50)]
)
def test_split_sizes_are_the_suite_s_or_a_third_for_testing(n, train, test):
    a, b = train_test_rows(np.arange(n))
    assert (len(a), len(b)) == (train, test)
    assert not set(a) & set(b)


def test_no_text_is_in_both_parts_and_classes_are_balanced(suite):
    suite["5_x"] = table()
    one = load_set("5_x")
    assert not {normalised(t) for t in one.train} & {normalised(t) for t in one.test}
    assert one.train_labels.mean() == one.test_labels.mean() == 0.5
    assert (one.rows, one.repeated, one.contradictory) == (400, 100, 0)
    assert len(one.train) + len(one.test) <= 300 - 100  # twice the rarer class
    by_text = dict(zip(suite["5_x"].prompt, suite["5_x"].target, strict=True))
    for text, label in zip(
        one.train + one.test, [*one.train_labels, *one.test_labels], strict=True
    ):
        assert by_text[text] == label


def test_a_text_in_both_parts_is_refused():
    with pytest.raises(ValueError, match="1 texts are in training and in test, such as 'a b'"):
        check_split(["a  b", "c"], ["d", " a b\n"])


def test_sets_are_seeded_and_labels_may_be_words(suite):
    suite["5_x"] = table()
    suite["6_y"] = table(labels=("no", "yes"))
    a, b, c = load_set("5_x", seed=1), load_set("5_x", seed=1), load_set("5_x", seed=2)
    assert a.train == b.train != c.train
    assert load_set("6_y", seed=1).train_labels.mean() == 0.5


def test_a_number_of_texts_cuts_a_set_and_keeps_its_training_texts(suite):
    suite["5_x"] = table(n=800, words=6)
    short, long = (load_set("5_x", max_texts=n) for n in (60, 400))
    assert (len(short.train), len(short.test)) == (40, 20)
    assert long.train[:40] == short.train


def test_sets_that_cannot_be_probed_are_named(suite):
    suite["5_x"] = table().assign(target=0)
    with pytest.raises(ValueError, match="1 classes, not two"):
        load_set("5_x")
    suite["5_x"] = table(n=12)
    with pytest.raises(ValueError, match="too few"):
        load_set("5_x")


def test_last_token_activations_are_those_of_each_text_alone(suite):
    suite["5_x"] = table(n=80, words=3)
    suite["6_y"] = table(n=80, words=5)
    model = tiny_models.tiny_llama()
    sets = [load_set(name, max_texts=24) for name in suite]
    found = last_token_activations(model, sets, 2, context=24)
    assert [(len(a), len(b)) for a, b in found] == [(16, 8), (16, 8)]
    (alone,) = last_token_activations(model, sets[1:], 2, context=24)
    for part, again in zip(found[1], alone, strict=True):
        assert part == pytest.approx(again, abs=1e-4)


def test_the_suite_itself():
    if not list((cache_dir() / "sources").glob("sae-probes*")):
        pytest.skip("the labelled sets are not in the cache")
    names = probing_sets.set_names()
    assert len(names) == 113
    assert {family_of(name) for name in names} == set(FAMILIES)
    assert sorted(int(name.split("_")[0]) for name in names) == NUMBERS
    one = load_set("95_toxic_is")
    assert one.rows == 728
    assert one.repeated > 0
    assert one.contradictory > 0
