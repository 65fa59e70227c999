"""What a few regions give back of an activation, with coefficients of least squares.

Projections on several regions at once count twice what the regions have in common. Least squares
over the n nearest ones does not: the coefficients are those of the nearest point to the direction
in the span of the n (Moore-Penrose where they are dependent, by a ridge of `RIDGE`).

Does not know: models, tokens, labels.
"""

import torch
from torch import Tensor

from epkit.checks import Arrays
from epkit.dictionary import Dictionary
from epkit.geometry import full_precision
from epkit.readouts import basis_of

RIDGE = 1e-4
BLOCK = 512


def nearest_fit(
    dictionary: Dictionary, x: Arrays, n: int, basis: str = "mean"
) -> tuple[Tensor, Tensor]:
    """The n nearest regions of every activation and their coefficients: (N, n) int64 and float32.

    Of unit directions: coefficients·E is nearest to (a − c) / |a − c|. Takes all regions where
    there are fewer than n.
    """
    e = basis_of(dictionary, basis)
    n = min(n, len(dictionary))
    parts = []
    with full_precision():
        for u in dictionary.directions(x).split(BLOCK):
            region = (u @ e.T).topk(n, dim=1).indices
            rows = e[region]  # (b, n, D)
            gram = rows @ rows.transpose(1, 2) + RIDGE * torch.eye(n, device=e.device)
            parts.append((region, torch.linalg.solve(gram, (rows @ u[:, :, None]))[..., 0]))
    region, coefficient = (torch.cat(part) for part in zip(*parts, strict=True))
    return region, coefficient


def coefficients(dictionary: Dictionary, x: Arrays, n: int, basis: str = "mean") -> Tensor:
    """The same as a readout (N, K), zero elsewhere."""
    region, coefficient = nearest_fit(dictionary, x, n, basis)
    readout = torch.zeros(len(region), len(dictionary), device=region.device)
    return readout.scatter_(1, region, coefficient)


def explained_by_regions(dictionary: Dictionary, x: Tensor, n: int, basis: str = "mean") -> float:
    """1 − |x − x̂|² / |x − mean(x)|² over activations (N, D), x̂ from the n nearest regions.

    The measure of `SparseAutoencoder.explained_variance`.
    """
    e, left, mean = basis_of(dictionary, basis), 0.0, x.float().mean(0)
    for rows in x.float().split(BLOCK):
        rows = rows.to(e.device)
        region, coefficient = nearest_fit(dictionary, rows, n, basis)
        length = (rows - dictionary.centre).norm(dim=1, keepdim=True)
        with full_precision():
            decoded = (coefficient[:, None] @ e[region])[:, 0] * length + dictionary.centre
        left += float((rows - decoded).square().sum())
    return 1 - left / float((x.float() - mean).square().sum())
