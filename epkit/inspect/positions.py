"""Places of regions on a flat map: near ones stay near; far ones say nothing.

t-SNE (scikit-learn, seeded) of the largest regions; any other region stands at the mean of the
places of its three nearest among them, weighted by nearness.

Does not know: HTML, widgets, names.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from epkit.dictionary import Dictionary
from epkit.geometry import distances

PLACED = 1200
"""Regions that t-SNE places itself: seconds for that many, minutes for 20,000."""

STEPS = 500
"""Of t-SNE for such a map, which somebody waits for."""


def map_places(dictionary: Dictionary, placed: int = PLACED) -> np.ndarray:
    """(K, 2) float32 in [0, 1]: a place for every region."""
    e = dictionary.exemplars.cpu()
    if len(e) < 4:
        return np.column_stack([np.linspace(0, 1, len(e)), np.full(len(e), 0.5)]).astype("float32")
    largest = dictionary.counts.cpu().argsort(descending=True, stable=True)[:placed]
    own = tsne(e[largest].double().numpy(), steps=STEPS).astype(np.float64)
    out = np.empty((len(e), 2))
    for first in range(0, len(e), 2048):
        gap, near = distances(e[first : first + 2048], e[largest]).topk(3, dim=1, largest=False)
        weight = torch.softmax(-20 * gap, dim=1).numpy()
        out[first : first + 2048] = (own[near.numpy()] * weight[:, :, None]).sum(1)
    out[largest.numpy()] = own
    low, high = out.min(0), out.max(0)
    return ((out - low) / np.maximum(high - low, 1e-9)).astype(np.float32)


def tsne(x: np.ndarray, *, seed: int = 0, steps: int = 1000) -> np.ndarray:
    """t-SNE of unit rows on a plane: (R, D) -> (R, 2), the same every time."""
    # Squared chords of unit rows are twice the cosine distances; 50 axes make t-SNE quick. One
    # thread gives the same map every time, and on a shared machine gives it sooner.
    with threadpool_limits(1):
        x = PCA(min(50, *x.shape), svd_solver="full").fit_transform(x)
        perplexity = min(30, (len(x) - 1) / 3)
        options = {"init": "pca", "random_state": seed, "max_iter": steps}
        return TSNE(2, perplexity=perplexity, **options).fit_transform(x)
