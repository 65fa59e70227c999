import pytest
import torch
from conftest import mixture

from epkit.interventions import ablate, chain, orthonormal, steer, swap, typical_norm


@pytest.fixture
def x():
    return mixture(60, 8).reshape(3, 20, 8)


def test_ablate_gives_every_position_the_centres_coordinate_and_leaves_the_rest(x):
    vectors = mixture(2, 8, seed=1)
    centre = mixture(1, 8, seed=2)[0]
    edited = ablate(vectors, centre, [4])[4](x)
    basis = torch.linalg.qr(vectors.T.double()).Q.T.float()
    torch.testing.assert_close(edited @ basis.T, (centre @ basis.T).expand(3, 20, 2))
    rest = torch.linalg.svd(basis, full_matrices=True).Vh[2:]
    torch.testing.assert_close(edited @ rest.T, x @ rest.T)


def test_ablating_again_changes_nothing(x):
    edit = ablate(mixture(3, 8, seed=1), torch.zeros(8), [0])[0]
    torch.testing.assert_close(edit(edit(x)), edit(x))


def test_ablate_by_hand():
    edit = ablate(torch.tensor([0.0, 2.0]), torch.tensor([5.0, 1.0]), [0])[0]
    assert edit(torch.tensor([[3.0, 7.0]])).tolist() == [[3.0, 1.0]]


def test_the_length_of_a_direction_does_not_matter(x):
    d = mixture(1, 8, seed=1)[0]
    for make in (lambda d: ablate(d, torch.ones(8), [0]), lambda d: steer(d, 0.5, 3.0, [0])):
        torch.testing.assert_close(make(d)[0](x), make(100 * d)[0](x))


def test_steer_moves_every_position_by_alpha_norms(x):
    d = torch.eye(8)[2] * 7
    moved = steer(d, -0.5, 10.0, [1])[1](x) - x
    torch.testing.assert_close(moved, -5 * torch.eye(8)[2].expand_as(x))


def test_swap_turns_what_points_to_the_source_and_leaves_what_points_away():
    s, t, centre = torch.eye(4)[0], torch.eye(4)[1], torch.tensor([1.0, 0, 0, 0])
    edit = swap(s, t, centre, [0])[0]
    x = torch.tensor([[3.0, 0, 5, 0], [0.0, 0, 5, 0]])
    assert edit(x).tolist() == [[1.0, 2, 5, 0], [0.0, 0, 5, 0]]


def test_chain_acts_in_order_on_shared_layers(x):
    push = steer(torch.eye(8)[0], 1.0, 2.0, [1, 2])
    cut = ablate(torch.eye(8)[0], torch.zeros(8), [2, 3])
    both = chain(push, cut)
    assert sorted(both) == [1, 2, 3]
    assert (both[2](x)[..., 0] == 0).all()
    torch.testing.assert_close(chain(cut, push)[2](x)[..., 0], torch.full((3, 20), 2.0))


def test_edits_keep_the_dtype():
    x = torch.randn(2, 3, 8).bfloat16()
    v, c = torch.eye(8)[0], torch.ones(8)
    for edits in (ablate(v, c, [0]), steer(v, 1, 1.0, [0]), swap(v, torch.eye(8)[1], c, [0])):
        assert edits[0](x).dtype == torch.bfloat16


def test_orthonormal_keeps_the_first_direction_and_spans_the_same():
    vectors = mixture(3, 8, seed=5)
    q = orthonormal(vectors)
    torch.testing.assert_close(q @ q.T, torch.eye(3))
    torch.testing.assert_close(q[0], vectors[0] / vectors[0].norm())
    torch.testing.assert_close(vectors @ q.T @ q, vectors)


def test_typical_norm_is_a_median():
    assert typical_norm(torch.tensor([[1.0, 0], [0, 2], [500, 0]])) == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ablate(torch.zeros(8), torch.zeros(8), [0]), "zero"),
        (lambda: ablate(torch.ones(2, 8), torch.zeros(8), [0]), "dependent"),
        (lambda: ablate(torch.eye(9, 8) + 1, torch.zeros(8), [0]), "dependent"),
        (lambda: ablate(torch.ones(8), torch.zeros(7), [0]), "centre must have shape"),
        (lambda: ablate(torch.ones(8), torch.zeros(8), []), "layers"),
        (lambda: ablate(torch.ones(8), torch.zeros(8), [1, 1]), "layers"),
        (lambda: steer(torch.ones(8), 1.0, 0.0, [0]), "norm must be"),
        (lambda: steer(torch.full((8,), torch.nan), 1.0, 1.0, [0]), "finite"),
        (lambda: swap(torch.ones(8), torch.ones(7), torch.zeros(8), [0]), "dimensions"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
