"""The scores of regions, and of the nouns that lie in them."""

import far_device
import pytest
import torch
from conftest import mixture

import epkit
from epkit.studies.secrets import selectors

X = mixture(400, 12)


@pytest.fixture(scope="module")
def made():
    return epkit.partition(X, [8], order=0)[8]


def moved_to(d, region, n=40):
    """Rows of X, and the same with half of them moved into a region."""
    rows = X[:n]
    tuned = rows.clone()
    tuned[::2] = d.centre + 5 * d.exemplars[region]
    return rows, tuned


def test_what_the_organism_moved_into_a_region_is_gained_there(made):
    base, tuned = moved_to(made, 3)
    scores = selectors.region_scores(made, base, tuned)
    after = made.assign(tuned)[0].bincount(minlength=len(made)) / len(tuned)
    assert torch.allclose(scores["occupancy"].float(), after)
    assert scores["gain"].sum().abs() < 1e-9
    assert {int(scores[k].argmax()) for k in ("occupancy", "gain", "pull")} == {3}
    assert tuple(scores) == selectors.SCORES


def test_displacement_is_the_mean_distance_of_what_lay_there(made):
    base, tuned = moved_to(made, 3)
    scores = selectors.region_scores(made, base, tuned)
    region = made.assign(base)[0]
    k = int(region[0])
    u, v = made.directions(base), made.directions(tuned)
    apart = (1 - (u * v).sum(1))[region == k].mean()
    assert scores["displacement"][k].item() == pytest.approx(apart.item(), abs=1e-5)
    empty = region.bincount(minlength=len(made)) == 0
    assert not scores["displacement"][empty].any()


def test_an_organism_that_is_its_base_gains_nothing(made):
    scores = selectors.region_scores(made, X, X)
    assert not scores["gain"].any()
    assert not scores["pull"].any()
    assert scores["displacement"].max() < 1e-6


def test_a_noun_has_the_mean_score_of_the_regions_it_lies_in(made):
    score = torch.arange(len(made)).double()
    nouns = X[:30].view(10, 3, 12)
    region = made.assign(X[:30])[0].view(10, 3)
    found = selectors.noun_scores(made, score, nouns)
    assert found.tolist() == pytest.approx(region.double().mean(1).tolist())


def test_scores_are_the_same_on_a_device(made):
    base, tuned = moved_to(made, 3)
    near = selectors.region_scores(made, base, tuned)
    with far_device.fake() as far:
        there = made.to(far)
        found = selectors.region_scores(there, base.to(far), tuned.to(far))
        own = selectors.noun_scores(there, found["pull"], X[:30].view(10, 3, 12).to(far))
    for name, score in near.items():
        assert torch.allclose(score, found[name], atol=1e-6)
    here = selectors.noun_scores(made, near["pull"], X[:30].view(10, 3, 12))
    assert torch.allclose(own, here, atol=1e-6)
