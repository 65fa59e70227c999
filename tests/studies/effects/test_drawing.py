"""Texts of one length, regions with and without members in them, and the controls beside them."""

import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama, tiny_tokenizer

import epkit
from epkit.lm.lens import logit_lens
from epkit.studies.effects import drawing


@pytest.fixture(scope="module")
def d():
    return epkit.partition(mixture(900, 16), [8], device="cpu")[8]


@pytest.fixture(scope="module")
def streams():
    return mixture(240, 16, seed=1).view(20, 12, 16)


def test_windows_are_first_ones_of_different_documents_and_equally_long():
    model = tiny_llama()
    texts = ["abcdef", "ab", "ghijklmnop", "qrstuv"]
    ids, first = drawing.equal_windows(model, texts, 3, 5)
    assert first == 1
    assert ids[:, 0].tolist() == [model.tokenizer.bos_token_id] * 3
    assert model.tokenizer.batch_decode(ids[:, 1:]) == ["abcde", "ghijk", "qrstu"]
    bare, none = drawing.equal_windows(tiny_llama(tiny_tokenizer(bos=False)), texts, 2, 5)
    assert (none, bare.shape) == (0, (2, 5))
    later, _ = drawing.equal_windows(model, texts, 2, 5, skip=1)
    assert torch.equal(later, ids[1:])
    with pytest.raises(ValueError, match="only 3 documents have 5 tokens, 4 are needed"):
        drawing.equal_windows(model, texts, 4, 5)


def test_a_visited_region_is_in_some_texts_and_not_in_others():
    region = torch.tensor([[0, 1, 1], [0, 2, 2], [0, 1, 3]])
    assert drawing.visited_regions(region, 5, 1, 1).tolist() == [1, 2, 3]
    assert drawing.visited_regions(region, 5, 2, 1).tolist() == [1]
    assert drawing.visited_regions(region, 5, 3, 0).tolist() == [0]


def test_drawn_regions_are_ablated_among_members_and_steered_where_there_are_none(d, streams):
    trials = drawing.draw_regions(drawing.EP, d, streams, 4, 2, 2, seed=0)
    region = d.assign(streams.flatten(0, 1))[0].view(20, 12)
    assert len({t.region for t in trials}) == 4
    for t in trials:
        assert torch.equal(t.members, region[t.present] == t.region)
        assert t.members.any(1).all()
        assert not (region[t.absent] == t.region).any()
        assert torch.equal(t.direction, d.exemplars[t.region])
    again = drawing.draw_regions(drawing.EP, d, streams, 4, 2, 2, seed=0)
    assert [t.present.tolist() for t in again] == [t.present.tolist() for t in trials]
    with pytest.raises(ValueError, match="raise n_texts"):
        drawing.draw_regions(drawing.EP, d, streams, len(d) + 1, 2, 2, seed=0)


def test_both_bases_share_texts_and_random_directions_take_them_over(d, streams):
    trials = drawing.draw_regions(drawing.EP, d, streams, 3, 2, 2, seed=0)
    both = drawing.in_both_bases(d, trials)
    assert [t.basis for t in both] == ["exemplar"] * 3 + ["mean"] * 3
    assert torch.equal(both[4].direction, d.means[both[4].region])
    made = drawing.made_up_trials(trials, drawing.MADE_UP, torch.eye(16), seed=0)
    assert {t.kind for t in made} == {drawing.MADE_UP}
    assert all(t.direction.norm() == pytest.approx(1) for t in made)
    assert torch.equal(made[1].members, trials[1].members)
    assert not torch.equal(made[0].direction, made[1].direction)


def test_promoted_tokens_are_those_of_the_lens_in_one_frame(d, streams):
    model = tiny_llama()
    trials = drawing.in_both_bases(d, drawing.draw_regions(drawing.EP, d, streams, 3, 2, 2, seed=0))
    found = drawing.with_promoted(model, trials, d.means, 4)
    directions = torch.stack([t.direction for t in trials])
    lens = logit_lens(model, directions, 4, standardise=True, among=d.means)
    assert torch.equal(torch.stack([t.promoted for t in found]), lens.promoted)
    assert found[2].z == pytest.approx(float(lens.promoted_logits[2].mean()))
    ids = torch.tensor([[7, 3], [3, 9]])
    candidates = drawing.candidate_tokens(found, ids)
    assert set(candidates.tolist()) == {3, 7, 9, *lens.promoted.flatten().tolist()}
    assert candidates.tolist() == sorted(set(candidates.tolist()))


def test_a_far_dictionary_gives_the_same_draw(far, d, streams):
    here = drawing.draw_regions(drawing.EP, d, streams, 4, 2, 2, seed=0)
    there = drawing.draw_regions(drawing.EP, d.to(far), streams.to(far), 4, 2, 2, seed=0)
    for a, b in zip(here, there, strict=True):
        assert (a.region, a.present.tolist()) == (b.region, b.present.tolist())
        assert b.direction.device.type == far.type
    u = torch.nn.functional.normalize(mixture(50, 16), dim=1)
    made = drawing.made_up_trials(there, drawing.MADE_UP, u.to(far), seed=0)
    near = drawing.made_up_trials(here, drawing.MADE_UP, u, seed=0)
    torch.testing.assert_close(made[0].direction.cpu(), near[0].direction)


def test_random_directions_have_the_spread_that_is_given(d, streams):
    trials = drawing.draw_regions(drawing.EP, d, streams, 4, 2, 2, seed=0) * 50
    u = torch.randn(300, 16, generator=torch.Generator().manual_seed(1))
    u = torch.nn.functional.normalize(u * torch.tensor([9.0, 9.0] + [1.0] * 14), dim=1)
    shaped = torch.stack([t.direction for t in drawing.made_up_trials(trials, "a", u, 0)])
    even = torch.stack([t.direction for t in drawing.made_up_trials(trials, "b", torch.eye(16), 0)])
    held = [float(x[:, :2].square().sum(1).mean()) for x in (shaped, even)]
    assert held[0] > 0.6
    assert held[1] == pytest.approx(2 / 16, abs=0.04)
