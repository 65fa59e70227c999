import pytest
import torch
from conftest import mixture as cloud

import epkit
from epkit.studies.rare_kinds import readers


def test_all_dictionaries_have_the_same_k():
    x = cloud(300, 16)
    (ep,) = epkit.partition(x, [20]).values()
    made = dict(readers.dictionaries(ep, x, rounds=2, seed=3))
    assert list(made) == [
        readers.EP, readers.REFINED, readers.RANDOM, readers.KMEANS, readers.ITDA,
    ]  # fmt: skip
    assert {len(d) for d in made.values()} == {len(ep)}
    assert made[readers.EP] is ep
    assert made[readers.REFINED].metadata["refined"] == 2
    assert made[readers.RANDOM].metadata["control_seed"] == 3


def test_a_dictionary_reads_the_nearest_region():
    x = cloud(300, 16)
    (d,) = epkit.partition(x, [20]).values()
    row, region = readers.region_reader(d)(x)
    assert torch.equal(row, torch.arange(300))
    assert torch.equal(region, d.assign(x)[0])


def test_an_sae_reads_its_largest_latent_and_all_active_ones():
    x = cloud(400, 16)
    options = {"k": 3, "epochs": 1, "seed": 0}
    # A batch of the trainer is 1,024 rows.
    x = torch.cat([x, x, x])
    made = dict(readers.sae_readers(x, 12, **options))
    sae = readers.train_topk_sae(x, 12, 3, epochs=1, seed=0)
    latents = sae.encode(x)
    row, latent = made[readers.SAE_ACTIVE](x)
    there = torch.zeros_like(latents, dtype=torch.bool)
    there[row, latent] = True
    assert torch.equal(there, latents > 0)
    assert (row.diff() >= 0).all()
    row, latent = made[readers.SAE_LARGEST](x)
    assert torch.equal(latent, latents[row].argmax(1))
    assert len(row.unique()) == len(row)


def test_an_sae_narrower_than_k_is_read_whole():
    x = cloud(1100, 8)
    made = dict(readers.sae_readers(x, 4, k=9, epochs=1, seed=0))
    assert int(made[readers.SAE_ACTIVE](x)[1].max()) <= 3


@pytest.mark.slow
def test_far_readers_give_pairs_on_the_cpu(far):
    x = cloud(1100, 16, spread=1.0)
    (ep,) = epkit.partition(x, [8], device="cpu").values()
    there = dict(readers.dictionaries(ep.to(far), x.to(far), rounds=1, seed=0))
    for method, d in readers.dictionaries(ep, x, rounds=1, seed=0):
        for one, other in zip(
            readers.region_reader(d)(x), readers.region_reader(there[method])(x), strict=True
        ):
            assert other.device.type == "cpu"
            assert torch.equal(one, other)
    for _, reader in readers.sae_readers(x.to(far), 12, k=3, epochs=1, seed=0):
        assert {part.device.type for part in reader(x.to(far))} == {"cpu"}
