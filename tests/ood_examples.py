"""Made-up activation sets and score tables for the tests of the out-of-distribution study."""

import torch
from conftest import mixture

import epkit
from epkit.studies.ood.readings import EP, RANDOM

LAYERS, PERCENTILES, LENGTH = (1, 3), (5, 20), 6


class FakeSet:
    """`ActivationSet`'s face over {layer: (n, D)}."""

    def __init__(self, activations, device=None):
        self.activations = activations
        self.device = device
        self.n = len(next(iter(activations.values())))

    def layer(self, layer):
        return self.activations[layer]


def example(device="cpu"):
    """A stream, its atlas on a device, and texts of three corpora, one of them far away."""
    x = mixture(300, 10)
    stream = FakeSet({1: x, 3: x.flip(1)})
    calibrations = {layer: epkit.calibrate(stream.layer(layer), PERCENTILES) for layer in LAYERS}
    atlas = {
        (layer, p): d.to(device)
        for layer in LAYERS
        for p, d in epkit.partition(
            stream.layer(layer), PERCENTILES, calibration=calibrations[layer], device="cpu"
        ).items()
    }
    own = {name: mixture(n * LENGTH, 10, seed=s) for name, n, s in (("web", 8, 0), ("code", 5, 1))}
    own["random-tokens"] = -own["code"][: 4 * LENGTH]
    taken = {name: FakeSet({1: v, 3: v.flip(1)}) for name, v in own.items()}
    return stream, calibrations, atlas, taken


def made_up_scores(seed=0):
    """Scores of EP, random exemplars, a norm and a rarity: 7 web texts, 5 and 4 foreign ones."""
    rng = torch.Generator().manual_seed(seed)

    def draw(shift):
        return {
            name: torch.rand(n, LENGTH, generator=rng) + more
            for name, n, more in (("web", 7, 0), ("code", 5, shift), ("bulgarian", 4, shift / 2))
        }

    scores = {}
    for layer in LAYERS:
        for p in PERCENTILES:
            scores[EP, layer, p] = [draw(0.5), draw(0.4)]
            scores[RANDOM, layer, p] = [draw(0.2), draw(0.2)]
        scores["norm", layer, None] = [draw(0.1)]
    scores["token rarity", None, None] = [draw(0.0)]
    return scores
