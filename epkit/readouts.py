"""Readouts: what a dictionary says about a batch of activations, and back.

Every readout of N activations is an (N, K) matrix f over the K regions, in one of two bases E
(K, D): the *exemplar* basis (observed directions: membership, interventions, tracing back to data)
or the *mean* basis (spherical means of the members: reading out). With c the centre, u = (a − c) /
|a − c|:

    signed      (a − c)·E          cosine    u·E          distance   1 − u·E, in [0, 2]
    one-hot     1 at the nearest region
    top-k       ReLU of the k largest of signed or cosine; normalised: divided by the row's sum
    Otsu cut    ReLU(u·E) where the distance is at or under the row's own Otsu threshold
    least squares   of the k nearest regions, the coefficients that bring f·E nearest to u
    decode      f·E + c

One-hot, top-k, Otsu cut and least squares are torch COO tensors: rows of the Otsu cut differ in
length, which a rectangular (indices, values) pair cannot hold, and torch's CSR layout still warns
that it is beta.

Does not know: models, tokens, how a dictionary was made.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from epkit import checks
from epkit.blocks.nearest import nearest
from epkit.checks import Arrays, as_activations
from epkit.dictionary import Dictionary
from epkit.geometry import ROWS, distances, full_precision

BASES = ("exemplar", "mean")
KINDS = ("signed", "cosine")


def signed(dictionary: Dictionary, x: Arrays, basis: str = "mean") -> Tensor:
    """Signed projections (a − c)·E, in the activations' own unit: (N, D) → (N, K) float32."""
    e = basis_of(dictionary, basis)
    return _product(_shifted(dictionary, x), e)


def cosine(dictionary: Dictionary, x: Arrays, basis: str = "mean") -> Tensor:
    """Cosines u·E in [−1, 1]: (N, D) → (N, K) float32."""
    e = basis_of(dictionary, basis)
    return _product(dictionary.directions(x), e).clamp_(-1, 1)


def distance(dictionary: Dictionary, x: Arrays, basis: str = "mean") -> Tensor:
    """The whole distance vector 1 − u·E in [0, 2]: (N, D) → (N, K) float32."""
    e = basis_of(dictionary, basis)
    return distances(dictionary.directions(x), e)


def one_hot(dictionary: Dictionary, x: Arrays, basis: str = "exemplar") -> Tensor:
    """1 at the nearest region: (N, D) → (N, K) float32, sparse, one entry per row.

    The default basis is the one that membership is defined by.
    """
    e = basis_of(dictionary, basis)
    region, _ = nearest(dictionary.directions(x), e)
    row = torch.arange(len(region), device=region.device)
    return _sparse(row, region, torch.ones(len(region), device=row.device), len(dictionary))


def top_k(
    dictionary: Dictionary,
    x: Arrays,
    k: int,
    basis: str = "mean",
    *,
    of: str = "signed",
    normalise: bool = False,
) -> Tensor:
    """ReLU of the k largest projections, zero elsewhere: (N, D) → (N, K) float32, sparse.

    Parameters
    ----------
    k : entries kept per row; fewer where fewer are positive.
    of : "signed" or "cosine" projections.
    normalise : divide by the sum of the row, so that it adds up to 1 (a row without a positive
        entry stays zero).

    Raises
    ------
    ValueError : bad k, basis, `of`, or activations.
    """
    basis_of(dictionary, basis)
    k = checks.whole("k", k, 1, len(dictionary))
    checks.one_of("of", of, KINDS)
    normalise = checks.flag("normalise", normalise)
    readout = signed if of == "signed" else cosine

    def block(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, region = readout(dictionary, rows, basis).topk(k, dim=1)
        values = values.relu()
        if normalise:
            values = values / values.sum(1, keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)
        row, place = values.nonzero(as_tuple=True)
        return row, region[row, place], values[row, place]

    return _by_rows(dictionary, x, block)


def otsu_cut(dictionary: Dictionary, x: Arrays, basis: str = "mean", *, bins: int = 256) -> Tensor:
    """Adaptive readout: ReLU(u·E) of the regions on the near side of each row's Otsu threshold.

    (N, D) → (N, K) float32, sparse; as many entries per row as the row's distances suggest.
    """
    basis_of(dictionary, basis)
    bins = checks.whole("bins", bins, 2, 1 << 20)

    def block(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d = distance(dictionary, rows, basis)
        near = (d <= otsu_thresholds(d, bins)[:, None]) & (d < 1)
        row, region = near.nonzero(as_tuple=True)
        return row, region, 1 - d[row, region]

    return _by_rows(dictionary, x, block)


def least_squares(
    dictionary: Dictionary, x: Arrays, k: int = 8, basis: str = "mean", *, ridge: float = 1e-4
) -> Tensor:
    """Coefficients of the k nearest regions that bring f·E nearest to u: (N, D) → (N, K), sparse.

    Regions near an activation are near one another too, so that adding their cosines up counts what
    they share several times; least squares counts it once. Coefficients may be negative.

    Parameters
    ----------
    k : regions a row is made of; all where there are fewer.
    ridge : added to the squares on the diagonal, so that two exemplars that are nearly the same
        share what they explain instead of cancelling.

    Raises
    ------
    ValueError : bad k, ridge, basis, or activations.
    """
    e = basis_of(dictionary, basis)
    k = min(checks.whole("k", k, 1), len(dictionary))
    ridge = checks.number("ridge", ridge, 0, 1, open_low=True)

    def block(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        product, region = _product(dictionary.directions(rows), e).topk(k, dim=1)
        near = e[region]
        with full_precision():
            squares = near @ near.mT + ridge * torch.eye(k, device=e.device)
        found = torch.linalg.solve(squares, product)
        row = torch.arange(len(rows), device=e.device).repeat_interleave(k)
        return row, region.flatten(), found.flatten()

    return _by_rows(dictionary, x, block)


def decode(dictionary: Dictionary, f: Tensor, basis: str = "mean") -> Tensor:
    """Activations from a readout, f·E + c: (N, K) sparse or dense → (N, D) float32.

    Of a normalised or cosine readout it gives the direction, not the activation's own length.
    """
    e = basis_of(dictionary, basis)
    if not isinstance(f, Tensor) or f.layout not in (torch.strided, torch.sparse_coo):
        raise TypeError(f"a readout f must be a dense or COO tensor, got {checks.shown(f)}")
    if f.ndim != 2 or f.shape[1] != len(dictionary) or f.is_complex():
        raise ValueError(
            f"a readout f must have shape (N, {len(dictionary)}) and real numbers, got {f.dtype} "
            f"of shape {tuple(f.shape)}"
        )
    f = f.to(device=e.device, dtype=torch.float32)
    with full_precision():
        return (torch.sparse.mm(f, e) if f.is_sparse else f @ e) + dictionary.centre


def basis_of(dictionary: Dictionary, basis: str) -> Tensor:
    """The (K, D) unit rows of a basis, "exemplar" or "mean"."""
    checks.instance("dictionary", dictionary, Dictionary)
    checks.one_of("basis", basis, BASES)
    return dictionary.exemplars if basis == "exemplar" else dictionary.means


def otsu_thresholds(values: Tensor, bins: int = 256) -> Tensor:
    """Otsu's threshold of every row: the cut of its histogram with most variance between classes.

    A histogram of `bins` equal bins from the row's least to its greatest value; the threshold is
    the centre of the last bin of the lower class (Otsu 1979; `skimage.filters.threshold_otsu` gives
    the same on the same histogram). A row whose values are all equal has that value.

    Parameters
    ----------
    values : (N, K) finite, K >= 1.
    bins : at least 2.

    Returns
    -------
    (N,) in the dtype of `values`.
    """
    values, bins = _histogrammed(values, bins)
    low, high = (x[:, None] for x in values.double().aminmax(dim=1))
    counts = row_histograms(values, bins)
    centres = low + (high - low) * (torch.arange(bins, device=low.device) + 0.5) / bins
    below, mass = counts.cumsum(1), (counts * centres).cumsum(1)
    above, rest = counts.sum(1, keepdim=True) - below, mass[:, -1:] - mass
    # The last cut has nothing above it. Every other one has the row's least value below.
    gap = mass[:, :-1] / below[:, :-1] - rest[:, :-1] / above[:, :-1]
    cut = (below[:, :-1] * above[:, :-1] * gap.square()).argmax(1, keepdim=True)
    flat = low == high
    return torch.where(flat, low, centres.gather(1, cut))[:, 0].to(values.dtype)


def row_histograms(values: Tensor, bins: int) -> Tensor:
    """Counts in equal bins from each row's least to greatest value: (N, K) → (N, bins) float64."""
    values, bins = _histogrammed(values, bins)
    low, high = (x[:, None] for x in values.double().aminmax(dim=1))
    width = torch.where(high > low, high - low, 1)
    place = ((values.double() - low) / width * bins).long().clamp_(max=bins - 1)
    counts = torch.zeros(len(values), bins, dtype=torch.float64, device=values.device)
    return counts.scatter_add_(1, place, torch.ones_like(place, dtype=torch.float64))


def _histogrammed(values: Tensor, bins: int) -> tuple[Tensor, int]:
    """Both as a histogram of every row needs them."""
    values, bins = checks.vectors("values", values), checks.whole("bins", bins, 2, 1 << 20)
    if values.ndim != 2 or values.shape[1] < 1:
        raise ValueError(f"values must have shape (N, K) with K >= 1, got {tuple(values.shape)}")
    return values, bins


def _shifted(dictionary: Dictionary, x: Arrays) -> Tensor:
    """a − c: (N, D)."""
    return as_activations(x, len(dictionary.centre), dictionary.centre.device) - dictionary.centre


def _product(x: Tensor, e: Tensor) -> Tensor:
    with full_precision():
        return x @ e.T


def _by_rows(
    dictionary: Dictionary,
    x: Arrays,
    block: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]],
) -> Tensor:
    """A sparse readout block by block, so that (N, K) never exists at full size."""
    x = as_activations(x, len(dictionary.centre), dictionary.centre.device)

    def parts() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, max(len(x), 1), ROWS):
            row, region, value = block(x[start : start + ROWS])
            yield row + start, region, value

    row, region, value = (torch.cat(part) for part in zip(*parts(), strict=True))
    return _sparse(row, region, value, len(dictionary), len(x))


def _sparse(row: Tensor, region: Tensor, value: Tensor, k: int, n: int | None = None) -> Tensor:
    shape = (len(row) if n is None else n, k)
    index = torch.stack([row, region])
    # Said explicitly because torch otherwise warns once that it does not check them.
    return torch.sparse_coo_tensor(index, value, shape, check_invariants=True).coalesce()
