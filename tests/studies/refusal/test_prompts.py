import pytest

from epkit.studies.refusal.prompts import (
    HUB_SIZES,
    Prompts,
    assert_disjoint,
    everyday_prompts,
    split_rows,
)

ROWS = {
    "bad": [(f"harm {i}", None) for i in range(10)],
    "pairs": [(f"paired harm {i}", f"paired good {i}") for i in range(10)],
    "good": [(None, f"good {i}") for i in range(10)],
}
SIZES = {
    "train": {"bad": 3, "pairs": 2, "good": 1},
    "build": {"bad": 4, "pairs": 3},
    "heldout": {"bad": 3, "pairs": 5, "good": 9},
}


def test_parts_have_the_sizes_asked_for_and_share_no_text():
    parts = split_rows(ROWS, SIZES, seed=0)
    counts = {name: (len(p.harmful), len(p.benign)) for name, p in parts.items()}
    assert counts == {"train": (5, 3), "build": (7, 3), "heldout": (8, 14)}
    texts = [t for p in parts.values() for t in (*p.harmful, *p.benign)]
    assert len(set(texts)) == len(texts)


def test_both_halves_of_a_pair_are_in_the_same_part():
    for part in split_rows(ROWS, SIZES, seed=1).values():
        numbers = [{t.split()[-1] for t in side if "paired" in t} for side in vars(part).values()]
        assert numbers[0] == numbers[1]


def test_the_seed_decides_the_draw():
    assert split_rows(ROWS, SIZES, seed=2) == split_rows(ROWS, SIZES, seed=2)
    assert split_rows(ROWS, SIZES, seed=2) != split_rows(ROWS, SIZES, seed=3)


def test_texts_that_differ_in_case_and_spaces_only_count_once():
    rows = {"bad": [("Harm  a", None), ("harm A", None), ("harm b", None)]}
    parts = split_rows(rows, {"build": {"bad": 2}}, seed=0)
    assert sorted(parts["build"].harmful) == ["Harm  a", "harm b"]
    with pytest.raises(ValueError, match="2 different prompts, 3 were asked for"):
        split_rows(rows, {"build": {"bad": 3}}, seed=0)


def test_a_text_that_an_earlier_source_has_is_left_out():
    rows = {"one": [("harm a", None), ("harm b", None)], "two": [("Harm  A", None), ("c", None)]}
    parts = split_rows(rows, {"build": {"one": 1, "two": 1}, "heldout": {"one": 1}}, seed=0)
    assert sorted(parts["build"].harmful + parts["heldout"].harmful) == ["c", "harm a", "harm b"]
    with pytest.raises(ValueError, match="two has 1 different prompts, 2 were asked for"):
        split_rows(rows, {"build": {"one": 2, "two": 2}}, seed=0)


def test_the_hub_sizes_leave_room_for_goals_that_advbench_has_too():
    need = {name: sum(part[name] for part in HUB_SIZES.values()) for name in HUB_SIZES["build"]}
    assert need["jailbreakbench"] <= 100 - 10
    assert need["advbench"] <= 520


def test_a_text_in_two_parts_is_refused():
    with pytest.raises(ValueError, match="in train and again in heldout"):
        assert_disjoint({"train": Prompts(("a b",), ()), "heldout": Prompts((), ("A  B",))})


def test_everyday_prompts_are_plain_and_different():
    prompts = everyday_prompts()
    assert len(prompts) >= 110
    assert len(set(prompts)) == len(prompts)
    assert all("{" not in p and ";" not in p and "  " not in p and len(p) < 100 for p in prompts)
