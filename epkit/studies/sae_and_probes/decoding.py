"""How much of an activation a few regions give back, with coefficients of least squares.

Projections on several regions at once count twice what the regions have in common; least squares
over the n nearest ones (`readouts.least_squares`) does not.

Does not know: models, tokens, labels.
"""

from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.readouts import decode, least_squares

BLOCK = 512


def explained_by_regions(dictionary: Dictionary, x: Tensor, n: int, basis: str = "mean") -> float:
    """1 − |x − x̂|² / |x − mean(x)|² over activations (N, D), x̂ from the n nearest regions.

    The measure of `SparseAutoencoder.explained_variance`.
    """
    centre, left, mean = dictionary.centre, 0.0, x.float().mean(0)
    for rows in x.float().split(BLOCK):
        rows = rows.to(centre.device)
        toward = decode(dictionary, least_squares(dictionary, rows, n, basis), basis) - centre
        length = (rows - centre).norm(dim=1, keepdim=True)
        left += float((rows - toward * length - centre).square().sum())
    return 1 - left / float((x.float() - mean).square().sum())
