"""Whether an SAE is good enough to compare regions with.

The yardstick: it explains more of the variance of held-out tokens than as many principal components
as it has active latents a token, and fewer than a tenth of its latents are dead, that is never on
over the build text.

Does not know: models, texts, how an SAE was trained.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from epkit.share.sae import SparseAutoencoder

SINK = 10
"""Tokens of more than so many times the median norm are attention sinks."""

MOST_DEAD = 0.1


@dataclass(frozen=True)
class SaeQuality:
    """What an SAE does on the text it was made for and on held-out text.

    active : latents a token that are on. dead : share of latents that never are.
    build, heldout : share of the variance explained. components : the same of held-out tokens by
        `active` principal components of the build text, rounded.
    """

    active: float
    dead: float
    build: float
    heldout: float
    components: float

    @property
    def good(self) -> bool:
        """Whether it meets the yardstick."""
        return self.heldout > self.components and self.dead < MOST_DEAD

    def described(self) -> dict[str, str]:
        """{what: value} as a table shows it."""
        return {
            "active latents a token": f"{self.active:.1f}",
            "dead latents": f"{self.dead:.1%}",
            "variance explained, build text": f"{self.build:.3f}",
            "variance explained, held-out text": f"{self.heldout:.3f}",
            f"the same by {round(self.active)} principal components": f"{self.components:.3f}",
            "good enough to compare": "yes" if self.good else "no",
        }


def usual_tokens(x: Tensor) -> Tensor:
    """(N, D) → (N,) bool, activations of at most `SINK` times the median norm."""
    norm = x.float().norm(dim=1)
    return norm <= SINK * norm.median()


def sae_quality(sae: SparseAutoencoder, build: Tensor, heldout: Tensor) -> SaeQuality:
    """Of an SAE on activations of the build text (N, D) and of held-out text (M, D), float32."""
    on = sum((sae.encode(rows) > 0).sum(0) for rows in build.split(2048))
    active = float(on.sum()) / len(build)
    return SaeQuality(
        active=active,
        dead=float((on == 0).float().mean()),
        build=sae.explained_variance(build),
        heldout=sae.explained_variance(heldout),
        components=explained_by_components(build, heldout, round(active)),
    )


def explained_by_components(fit: Tensor, x: Tensor, n: int) -> float:
    """Share of the variance of x (M, D) explained by n principal components of fit (N, D).

    fit and x : float32, on one device.
    """
    mean = fit.mean(0)
    centred, rows = fit - mean, x - mean
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, fit.shape[1] - n :]
    left = rows - rows @ axes @ axes.T
    return float(1 - left.square().sum() / (x - x.mean(0)).square().sum())
