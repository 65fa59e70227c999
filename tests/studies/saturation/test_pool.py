"""The pooled streams, and the rows that builds and calibrations read."""

import pytest
import torch

from epkit.studies.saturation.orders import revisited
from epkit.studies.saturation.pool import calibration_rows, plan_builds, pool_streams, stream_facts

DOMAINS = ["web", "maths", "code"]


def test_domains_stand_one_behind_the_other_at_equal_length(pool, sets):
    assert pool.n == 400  # the shortest
    assert pool.domains == DOMAINS
    x = pool.activations(2)
    assert (x.shape, x.dtype) == ((1200, 12), torch.float32)
    for k, name in enumerate(DOMAINS):
        rows = pool.rows(name)
        assert rows.tolist() == list(range(400 * k, 400 * (k + 1)))
        own = sets[name].tokens[sets[name].clustered][:400]
        assert torch.equal(pool.token[rows], own.long())
        assert torch.equal(x[rows].cpu(), sets[name].layer(2)[:400].float())
    assert len(pool.document.unique()) == sum(
        len(pool.document[pool.rows(d)].unique()) for d in DOMAINS
    )
    assert len(pool.window.unique()) == 3 * 40


def test_a_pool_takes_no_more_than_asked_for(sets):
    assert pool_streams(sets, 90).n == 90
    assert len(pool_streams(sets, 90).window) == 270


def test_a_plan_keeps_to_its_domain_and_mixes_all_in_the_mixed_stream(pool, plan):
    assert list(plan.orders) == list(plan.blocks) == [*DOMAINS, "mixed"]
    assert torch.equal(plan.orders["maths"][0], pool.rows("maths"))
    for name in DOMAINS:
        for order in plan.orders[name]:
            assert torch.equal(order.sort().values, pool.rows(name))
        assert all(set(b.tolist()) <= set(pool.rows(name).tolist()) for b in plan.blocks[name])
    for many, length in ((plan.orders, 400), (plan.blocks, 70)):
        assert all(len(rows) == length for rows in many["mixed"])
        assert all(len(rows.unique()) == length for rows in many["mixed"])
        assert len({row // 400 for rows in many["mixed"] for row in rows.tolist()}) == 3
    apart = torch.cat(plan.blocks["mixed"])
    assert len(apart.unique()) == len(apart)
    for (name, i), again in plan.repeats.items():
        order = plan.orders[name][i]
        assert torch.equal(again, revisited(pool.token[order], pool.window[order]))
    assert len(plan.repeats) == 4 * 3


def test_sets_of_documents_that_do_not_fit(pool):
    with pytest.raises(ValueError, match="9 blocks of 70 activations do not fit"):
        plan_builds(pool, n_orders=2, n_blocks=9, n_block=70)


def test_one_domain_has_no_mixed_stream(sets):
    alone = plan_builds(pool_streams({"web": sets["web"]}, 400), n_orders=2, n_blocks=2, n_block=70)
    assert list(alone.orders) == list(alone.blocks) == ["web"]


def test_calibration_rows_are_balanced(pool):
    rows = calibration_rows(pool, 50, seed=3).cpu()
    assert (rows // 400).bincount().tolist() == [50, 50, 50]
    assert len(rows.unique()) == len(rows)
    assert torch.equal(calibration_rows(pool, 50, seed=3).cpu(), rows)


def test_facts_of_the_streams(pool, plan):
    facts = stream_facts(pool, plan, [0, 1])
    assert facts.index.tolist() == DOMAINS
    assert (facts["activations"] == 400).all()
    assert (facts["documents"] == 20).all()
    assert (facts["windows"] == 40).all()
    token = pool.token[pool.rows("code")]
    assert facts.loc["code", "distinct tokens"] == len(set(token.tolist()))
    assert facts.loc["code", "special tokens"] == pytest.approx((token <= 1).double().mean().item())
    assert (facts["repeated"] == 0).all()
