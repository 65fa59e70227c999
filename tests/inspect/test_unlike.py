from dataclasses import replace

import pytest
import torch
from conftest import mixture
from plot_examples import partition as with_members

import epkit
from epkit.inspect.tables import region_table
from epkit.inspect.unlike import nearest_region, unlike, unlike_table


class Tokenizer:
    def decode(self, ids):
        return " ".join(f"<{i}>" for i in ids)


@pytest.fixture
def dictionary():
    return with_members(400, 12, 10, 3)


def test_few_members_come_first_and_then_those_that_stand_alone(dictionary):
    d = dictionary
    between = 1 - d.means @ d.means.T
    between.fill_diagonal_(9)
    apart = between.min(1).values
    torch.testing.assert_close(nearest_region(d), apart, atol=2e-5, rtol=0)
    order = unlike(d).tolist()
    expected = sorted(range(len(d)), key=lambda k: (int(d.counts[k]), -float(nearest_region(d)[k])))
    assert order == [k for k in expected if d.counts[k] >= 2]
    assert len(unlike(d, min_members=1)) == len(d)
    assert set(unlike(d, min_members=5).tolist()) == set(
        (d.counts >= 5).nonzero().flatten().tolist()
    )


def test_a_handful_of_foreign_activations_is_read_early():
    web, foreign = mixture(800, 32), mixture(4, 32, seed=1, clusters=1, spread=0.05)
    foreign[:, 2] += 20
    x = torch.cat([web[:400], foreign, web[400:]])
    (d,) = epkit.partition(x, [5]).values()
    own = d.assign(foreign)[0].unique()
    assert len(own) == 1
    assert d.counts[own] == 4
    assert own[0] in unlike(d, min_members=3)[: len(d) // 5]


def test_equal_regions_keep_the_order_of_founding(dictionary):
    d = replace(dictionary, counts=torch.full_like(dictionary.counts, 3),
                means=torch.eye(len(dictionary), len(dictionary)))  # fmt: skip
    assert unlike(d).tolist() == list(range(len(d)))


def test_the_only_region_is_near_to_nothing():
    (d,) = epkit.partition(torch.ones(5, 4) + torch.eye(5, 4) / 50, [99]).values()
    one = replace(d, means=d.means[:1], exemplars=d.exemplars[:1], counts=d.counts[:1])
    assert nearest_region(one, 50).tolist() == pytest.approx([0], abs=1e-6)
    assert unlike(one).tolist() == [0]


def test_the_table_says_what_is_in_them(dictionary):
    table = unlike_table(dictionary, Tokenizer(), 5)
    first = unlike(dictionary)[:5].tolist()
    assert table.region.tolist() == first
    assert table["nearest region"].tolist() == nearest_region(dictionary)[first].tolist()
    own = region_table(dictionary, Tokenizer(), first)
    assert table[own.columns].equals(own)


def test_what_is_no_dictionary_or_number_is_refused(dictionary):
    with pytest.raises(TypeError, match="dictionary"):
        unlike([1, 2])
    with pytest.raises(ValueError, match="n must be"):
        unlike_table(dictionary, Tokenizer(), 0)
    with pytest.raises(ValueError, match="no members"):
        unlike_table(dictionary.recount(mixture(400, 12)), Tokenizer())


@pytest.mark.slow
def test_a_far_dictionary_is_read_in_the_same_order(dictionary, far):
    assert unlike(dictionary.to(far)).cpu().tolist() == unlike(dictionary).tolist()
    assert unlike_table(dictionary.to(far), Tokenizer(), 3).equals(
        unlike_table(dictionary, Tokenizer(), 3)
    )
