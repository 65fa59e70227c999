"""The compared dictionaries: what each is made of, and that they do not mind the device."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import epkit
from epkit.studies.base_vs_tuned.dictionaries import (
    checkpoint_sizes,
    in_orders,
    prompt_dictionaries,
    pushed,
    read_with,
)

SETS = {"base", "tuned", "noise", "shared", "fresh", "random base", "random tuned"}


def same(one, other):
    """Whether two readings are the same, wherever they lie."""
    a, b = one.dictionary, other.dictionary
    return torch.equal(a.exemplars.cpu(), b.exemplars.cpu()) and torch.equal(
        one.region, other.region
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3), n=st.integers(1, 9))
def test_a_push_is_as_far_and_seeded(seed, scale, n):
    generator = torch.Generator().manual_seed(seed)
    x, step = (torch.randn(n, 6, generator=generator) for _ in range(2))
    y = x + scale * step
    found = pushed(x, y, seed)
    torch.testing.assert_close((found - x).norm(dim=1), (y - x).norm(dim=1), rtol=1e-2, atol=1e-4)
    assert torch.equal(found, pushed(x, y, seed))
    assert not torch.equal(found, pushed(x, y, seed + 1))


def test_every_order_is_the_partition_of_it(web):
    x = web["base"]
    cal = epkit.calibrate(x, [4, 10])
    found = in_orders(x, cal, [4, 10], [1, 5], read=web["tuned"])
    for p, order, i in ((4, 1, 0), (4, 5, 1), (10, 5, 1)):
        alone = epkit.partition(x, [p], calibration=cal, order=order)[p]
        assert same(found[p][i], read_with(alone, web["tuned"]))


def test_sets_of_running_text(web, web_sets):
    made = web_sets(percentiles=[10], orders=[2, 3])[10]
    assert set(made) == SETS
    assert {len(readings) for readings in made.values()} == {2}
    assert {len(r.region) for readings in made.values() for r in readings} == {len(web["base"])}
    centre = {name: readings[0].dictionary.centre for name, readings in made.items()}
    assert torch.equal(centre["shared"], centre["base"])
    assert not torch.equal(centre["tuned"], centre["base"])
    assert torch.equal(centre["fresh"], epkit.calibrate(web["fresh"][:150], [10]).centre)
    for name in ("base", "tuned"):
        k = len(made[name][0].dictionary)
        assert [len(d) for d, _ in made[f"random {name}"]] == [k, k]
    assert made["fresh"][0].dictionary.n == len(web["fresh"])  # clustered there, read on the base


def test_sets_of_prompts(chat):
    made = prompt_dictionaries(chat, [4, 10], [0, 1])
    assert set(made) == {4, 10}
    for p, sets in made.items():
        assert set(sets) == SETS - {"noise", "fresh"}
        for name in ("base", "tuned"):
            cal = epkit.calibrate(chat[name], [p])
            assert sets[name][0].dictionary.threshold == cal.thresholds[p]
            sizes = [len(d) for d, _ in sets[name]]
            assert [len(d) for d, _ in sets[f"random {name}"]] == sizes


def test_sizes(web_sets):
    made = web_sets(percentiles=[10])[10]
    table = checkpoint_sizes({(5, 10): made})
    row = table.loc[5, 10]
    assert row["base: K by order"] == [len(d) for d, _ in made["base"]]
    assert row["tuned: θ"] == made["tuned"][0].dictionary.threshold
    assert 0 < row["cosine of the centres"] <= 1 + 1e-6


@pytest.mark.slow
def test_dictionaries_stay_on_their_device(far, web_sets, on_prompts):
    few = {"percentiles": [10], "orders": [1]}
    here, there = web_sets(**few)[10], web_sets(far, **few)[10]
    for name, readings in there.items():
        assert {d.exemplars.device.type for d, _ in readings} == {"cuda"}
        assert {region.device.type for _, region in readings} == {"cpu"}
        if name != "noise":  # which is as near as rounding lets it be
            assert all(map(same, readings, here[name]))
    checkpoint_sizes({(5, 10): there})


@pytest.mark.slow
def test_dictionaries_of_prompts_stay_on_their_device(far, chat):
    here = prompt_dictionaries(chat, [10], [1])[10]
    there = prompt_dictionaries({name: x.to(far) for name, x in chat.items()}, [10], [1])[10]
    for name, readings in there.items():
        assert all(map(same, readings, here[name]))
