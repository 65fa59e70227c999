"""SAEs: the activation functions by hand, files in the layouts around, training that learns."""

import numpy as np
import pytest
import safetensors.torch
import torch

from epkit.share.sae import SparseAutoencoder, keep_top, load_sae, train_topk_sae


def small(**options):
    """2 dimensions, 3 latents: pre-activations of (1, 2) are (1, 2, −3) plus b_enc."""
    return SparseAutoencoder(
        w_enc=torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]),
        b_enc=torch.tensor([0.5, 0.0, 3.5]),
        w_dec=torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        b_dec=torch.tensor([0.0, 10.0]),
        b_pre=options.pop("b_pre", torch.zeros(2)),
        **options,
    )


def sparse_data(n=4000, dim=24, atoms=40, seed=0):
    """Each row is a sum of three of 40 unit atoms with positive weights."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(atoms, dim))
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    weights = np.zeros((n, atoms))
    for row in weights:
        row[rng.choice(atoms, 3, replace=False)] = rng.uniform(1, 2, 3)
    return torch.tensor(weights @ base, dtype=torch.float32)


def test_activation_functions_by_hand():
    x = torch.tensor([[1.0, 2.0]])  # pre-activations 1.5, 2, 0.5
    assert small().encode(x).tolist() == [[1.5, 2.0, 0.5]]
    assert small(k=1).encode(x).tolist() == [[0.0, 2.0, 0.0]]
    threshold = torch.tensor([1.5, 1.0, 0.4])  # a latent at its threshold is off
    assert small(threshold=threshold).encode(x).tolist() == [[0.0, 2.0, 0.5]]
    assert small(b_pre=torch.tensor([1.0, 0.0])).encode(x).tolist() == [[0.5, 2.0, 1.5]]


def test_decode_by_hand():
    assert small().decode(torch.tensor([[1.0, 0.0, 2.0]])).tolist() == [[3.0, 12.0]]


def test_keep_top_clips_negative_ones():
    assert keep_top(torch.tensor([[-1.0, -2.0, 3.0]]), 2).tolist() == [[0.0, 0.0, 3.0]]


def test_explained_variance_of_a_perfect_and_a_constant_sae():
    x = torch.rand(50, 2) + 1
    perfect = SparseAutoencoder(torch.eye(2), torch.zeros(2), torch.eye(2), *torch.zeros(2, 2))
    assert perfect.explained_variance(x) == pytest.approx(1)
    constant = SparseAutoencoder(
        torch.zeros(2, 2), torch.zeros(2), torch.eye(2), x.mean(0), torch.zeros(2)
    )
    assert constant.explained_variance(x) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"k": 2}, {"threshold": torch.tensor([0.1, 1.0, 2.0])}])
def test_saved_and_loaded_is_the_same(tmp_path, options):
    sae = small(b_pre=torch.tensor([0.25, 0.5]), **options)
    again = load_sae(sae.save(tmp_path / "sae.safetensors"))
    x = torch.randn(20, 2)
    assert torch.equal(again.encode(x), sae.encode(x))
    assert torch.equal(again.decode(again.encode(x)), sae.decode(sae.encode(x)))
    assert (again.k, len(again)) == (sae.k, 3)


def test_layout_of_torch_modules_is_transposed_and_subtracts_the_decoder_bias(tmp_path):
    sae = small(b_pre=torch.tensor([0.0, 10.0]))
    path = tmp_path / "ae.safetensors"
    safetensors.torch.save_file(
        {
            "encoder.weight": sae.w_enc.T.contiguous(),
            "encoder.bias": sae.b_enc,
            "decoder.weight": sae.w_dec.T.contiguous(),
            "b_dec": sae.b_dec,
        },
        path,
    )
    x = torch.randn(20, 2)
    assert torch.equal(load_sae(path).encode(x), sae.encode(x))
    plain = load_sae(path, subtract_decoder_bias=False)
    assert torch.equal(plain.encode(x), small().encode(x))


def test_layout_of_gemma_scope(tmp_path):
    sae = small(threshold=torch.tensor([0.1, 1.0, 2.0]))
    names = {"W_enc": sae.w_enc, "b_enc": sae.b_enc, "W_dec": sae.w_dec, "b_dec": sae.b_dec}
    names["threshold"] = sae.threshold
    np.savez(tmp_path / "params.npz", **{k: v.numpy() for k, v in names.items()})
    x = torch.randn(20, 2)
    assert torch.equal(load_sae(tmp_path / "params.npz").encode(x), sae.encode(x))


def test_encoder_weights_are_enough(tmp_path):
    safetensors.torch.save_file({"W_enc": torch.eye(2)}, tmp_path / "e.safetensors")
    assert load_sae(tmp_path / "e.safetensors").encode(torch.tensor([[1.0, -1.0]])).tolist() == [
        [1.0, 0.0]
    ]


def test_what_is_no_sae_is_refused(tmp_path):
    safetensors.torch.save_file({"weight": torch.eye(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"no encoder weights .* it has: weight"):
        load_sae(tmp_path / "a.safetensors")
    safetensors.torch.save_file(
        {"W_enc": torch.eye(2), "b_enc": torch.zeros(3)}, tmp_path / "b.safetensors"
    )
    with pytest.raises(ValueError, match=r"b_enc is \(3,\), not \(2,\)"):
        load_sae(tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"not one")
    with pytest.raises(ValueError, match="cannot be read"):
        load_sae(tmp_path / "c.safetensors")
    np.savez(tmp_path / "d.npz", W_enc=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):  # an npz that would run code
        load_sae(tmp_path / "d.npz")
    with pytest.raises(FileNotFoundError, match="neither a file here"):
        load_sae(tmp_path / "absent.safetensors")


def test_training_explains_sparse_data_it_has_not_seen():
    x = sparse_data()
    sae = train_topk_sae(x[:3500], 60, 3, epochs=30, batch=250, learning_rate=3e-3)
    assert (sae.encode(x) > 0).sum(1).max() <= 3
    assert torch.allclose(sae.w_dec.norm(dim=1), torch.ones(60), atol=1e-5)
    untrained = train_topk_sae(x[:3500], 60, 3, epochs=1, batch=3500)
    assert sae.explained_variance(x[3500:]) > 0.8
    assert untrained.explained_variance(x[3500:]) < 0.5


def test_training_does_not_depend_on_unit_or_origin():
    x = sparse_data(1000)
    plain = train_topk_sae(x, 40, 3, epochs=5, batch=250)
    moved = train_topk_sae(x * 50 + 7, 40, 3, epochs=5, batch=250)
    assert moved.explained_variance(x * 50 + 7) == pytest.approx(
        plain.explained_variance(x), abs=0.02
    )


def test_training_is_seeded():
    x = sparse_data(600)
    first = train_topk_sae(x, 30, 3, epochs=2, batch=200)
    torch.rand(5)
    assert torch.equal(first.w_enc, train_topk_sae(x, 30, 3, epochs=2, batch=200).w_enc)
    other = train_topk_sae(x, 30, 3, epochs=2, batch=200, seed=1)
    assert not torch.equal(first.w_enc, other.w_enc)


def test_training_refuses_bad_numbers():
    x = sparse_data(100)
    with pytest.raises(ValueError, match="fewer than one batch of 1024: give more"):
        train_topk_sae(x, 4, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 5}, "k must be in 1 … 4"),
        ({"k": 0}, "k must be in 1 … 4"),
        ({"n_latents": 0}, "n_latents must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number in"),
        ({"seed": -1}, "seed must be in 0"),
    ],
)
def test_training_names_the_bad_number(options, said):
    with pytest.raises(ValueError, match=said):
        train_topk_sae(sparse_data(100), **{"n_latents": 4, "k": 2, "batch": 50, **options})
