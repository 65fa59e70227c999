"""Sparse autoencoders: read one from a file, or train a small TopK one on given activations.

f = act((x − b_pre) W_enc + b_enc),   x̂ = f W_dec + b_dec

with `act` ReLU, JumpReLU (Rajamanoharan et al. 2024: a latent counts above its own threshold) or
TopK (Gao et al. 2024: the k largest of a row, clipped at zero). The trained one is for comparison
at equal data with a dictionary of regions; it is no attempt at the best SAE.

Does not know: models, tokens, where activations come from.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import huggingface_hub
import numpy as np
import safetensors
import safetensors.torch
import torch
from huggingface_hub import errors as hub_errors
from torch import Tensor

from epkit import checks
from epkit.checks import Arrays, as_activations
from epkit.files import write_tensors
from epkit.geometry import full_precision

DEAD_AFTER = 100
"""Training steps without a single activation after which a latent counts as dead."""

NAMES = {  # ours: (theirs, whether transposed): SAELens and Gemma Scope; Sparsify and others
    "w_enc": (("W_enc", False), ("encoder.weight", True), ("w_enc", False)),
    "w_dec": (("W_dec", False), ("decoder.weight", True), ("w_dec", False)),
    "b_enc": (("b_enc", False), ("encoder.bias", False)),
    "b_dec": (("b_dec", False), ("decoder.bias", False), ("bias", False)),
    "threshold": (("threshold", False), ("log_threshold", False)),
    "b_pre": (("b_pre", False),),
}


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    """An SAE of F latents over D dimensions, all float32.

    w_enc (D, F), b_enc (F,), w_dec (F, D), b_dec (D,), b_pre (D,): subtracted before encoding.
    threshold (F,): of JumpReLU, else None. k: of TopK, else None. With neither it is a ReLU.
    """

    w_enc: Tensor
    b_enc: Tensor
    w_dec: Tensor
    b_dec: Tensor
    b_pre: Tensor
    threshold: Tensor | None = None
    k: int | None = None

    def __len__(self) -> int:
        return self.w_enc.shape[1]

    def pre_activations(self, x: Arrays) -> Tensor:
        """Before the activation function: (N, D) → (N, F)."""
        x = as_activations(x, self.w_enc.shape[0], self.w_enc.device)
        with full_precision():
            return (x - self.b_pre) @ self.w_enc + self.b_enc

    def encode(self, x: Arrays) -> Tensor:
        """Latents of activations: (N, D) → (N, F), never negative."""
        latents = self.pre_activations(x)
        if self.threshold is not None:
            return torch.where(latents > self.threshold, latents, 0).relu()
        return latents.relu() if self.k is None else keep_top(latents, self.k)

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstruction: (N, F) → (N, D)."""
        with full_precision():
            return latents @ self.w_dec + self.b_dec

    def explained_variance(self, x: Arrays) -> float:
        """1 − |x − x̂|² / |x − mean(x)|², summed over all activations (N, D)."""
        x = as_activations(x, self.w_enc.shape[0], self.w_enc.device)
        error = sum(
            (rows - self.decode(self.encode(rows))).square().sum() for rows in x.split(4096)
        )
        return float(1 - error / (x - x.mean(0)).square().sum())

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file that `load_sae` reads. Returns the path."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        if self.k is not None:
            tensors["k"] = torch.tensor(self.k)
        write_tensors(Path(path), tensors, {"kind": "sae"})
        return Path(path)


def keep_top(latents: Tensor, k: int) -> Tensor:
    """The k largest of every row, clipped at zero; the rest zero: (N, F) → (N, F)."""
    top = latents.topk(k, dim=1)
    return torch.zeros_like(latents).scatter_(1, top.indices, top.values.relu())


# ---- reading ------------------------------------------------------------------------------------


def load_sae(
    where: str | Path,
    *,
    subtract_decoder_bias: bool | None = None,
    device: str | torch.device = "cpu",
) -> SparseAutoencoder:
    """An SAE from `*.safetensors`, or from `*.npz` as Gemma Scope has it.

    where : a local file, or owner/repository/path on the model hub, such as
        "google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz".

    subtract_decoder_bias : whether b_dec is subtracted before encoding, which files do not say. By
        default yes for the layout `encoder.weight` (as the libraries that write it do), no for
        `W_enc` (as Gemma Scope does).

    Encoder weights are needed; a decoder may be missing, and is then zero. A scalar `k` in the file
    makes it TopK, a `threshold` JumpReLU.

    Raises FileNotFoundError (no such file), RuntimeError (the hub does not give it), ValueError
    (another format, no encoder weights, shapes that do not fit).
    """
    path = Path(where).expanduser()
    if not path.is_file():
        path = _from_hub(str(where))
    arrays = _arrays(path)
    found: dict[str, Tensor] = {}
    for name, options in NAMES.items():
        for theirs, transposed in options:
            if theirs in arrays:
                value = arrays[theirs].float()
                value = value.T.contiguous() if transposed else value
                found[name] = value.exp() if theirs.startswith("log_") else value
                break
    if "w_enc" not in found:
        raise ValueError(
            f"{path.name} holds no encoder weights (looked for W_enc, encoder.weight); it has: "
            f"{', '.join(sorted(arrays))}"
        )
    d, f = found["w_enc"].shape
    defaults = {"w_dec": (f, d), "b_enc": (f,), "b_dec": (d,), "b_pre": (d,)}
    for name, shape in defaults.items():
        found.setdefault(name, torch.zeros(shape))
    for name, shape in (defaults | {"threshold": (f,)}).items():
        if name in found and found[name].shape != shape:
            raise ValueError(f"{path.name}: {name} is {tuple(found[name].shape)}, not {shape}")
    if subtract_decoder_bias is None:
        subtract_decoder_bias = "encoder.weight" in arrays
    if subtract_decoder_bias:
        found["b_pre"] = found["b_dec"]
    k = int(arrays["k"]) if "k" in arrays else None
    return SparseAutoencoder(**{n: v.to(device) for n, v in found.items()}, k=k)


def _from_hub(where: str) -> Path:
    parts = where.split("/")
    if len(parts) < 3 or where.startswith(("/", ".", "~")):
        raise FileNotFoundError(
            f"{where} is neither a file here nor owner/repository/path on a hub"
        )
    try:
        return Path(huggingface_hub.hf_hub_download("/".join(parts[:2]), "/".join(parts[2:])))
    except (hub_errors.HfHubHTTPError, hub_errors.LocalEntryNotFoundError, OSError) as error:
        raise RuntimeError(
            f"{where} cannot be downloaded ({type(error).__name__}): check the network and the "
            "name, or give a local file"
        ) from error


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise ValueError(
            f"{path.name} cannot be read as safetensors or npz ({type(error).__name__}): give an "
            "SAE in one of these formats"
        ) from error


# ---- training -----------------------------------------------------------------------------------


def train_topk_sae(
    x: Arrays,
    n_latents: int,
    k: int = 32,
    *,
    epochs: int = 8,
    batch: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> SparseAutoencoder:
    """A TopK SAE on activations (N, D), by Adam on the squared error (Gao et al. 2024).

    Activations are centred on their mean and scaled to mean norm √D while training; the result
    takes them as they are. The decoder starts as random unit directions, the encoder as its
    transpose, and decoder rows are kept at unit length. Dead latents learn to reconstruct the
    error that remains (weight 1/32). Same inputs and seed, same weights on the same machine.

    Raises ValueError for fewer activations than a batch, k outside 1 … n_latents, or a number of
    epochs, size of a batch or learning rate that is not positive.
    """
    x = torch.as_tensor(x)
    device = checks.device(device if device is not None else x.device)
    n_latents = checks.whole("n_latents", n_latents, 1)
    k, epochs = checks.whole("k", k, 1, n_latents), checks.whole("epochs", epochs, 1)
    batch, seed = checks.whole("batch", batch, 1), checks.seed(seed)
    learning_rate = checks.number("learning_rate", learning_rate, 0, open_low=True)
    if len(x) < batch:
        raise ValueError(
            f"{len(x)} activations are fewer than one batch of {batch}: give more, or lower batch"
        )
    total = sum(as_activations(part, device=device).sum(0).double() for part in x.split(1 << 16))
    mean = (total / len(x)).float()
    scale = (as_activations(x[:16384]).to(device) - mean).norm(dim=1).mean() / x.shape[1] ** 0.5
    generator = torch.Generator().manual_seed(seed)
    sae = _start(n_latents, k, x.shape[1], generator, device)
    weights = [sae.w_enc, sae.b_enc, sae.w_dec, sae.b_dec]
    optimiser = torch.optim.Adam([w.requires_grad_() for w in weights], lr=learning_rate)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 50, 5 * (1 - step / steps) + 1e-3)
    )
    quiet = torch.zeros(n_latents, dtype=torch.long, device=device)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for rows in order[: len(x) // batch * batch].split(batch):
            inputs = (x[rows].to(device).float() - mean) / scale
            quiet = _step(sae, inputs, quiet, optimiser)
            schedule.step()
    w_enc, b_enc, w_dec, b_dec = (w.detach() for w in weights)
    return replace(
        sae, w_enc=w_enc, b_enc=b_enc * scale, w_dec=w_dec, b_dec=b_dec * scale + mean,
        b_pre=mean,
    )  # fmt: skip


def _start(n: int, k: int, dim: int, generator: torch.Generator, device) -> SparseAutoencoder:
    w_dec = torch.randn(n, dim, generator=generator)
    w_dec = (w_dec / w_dec.norm(dim=1, keepdim=True)).to(device)
    zeros = torch.zeros(dim, device=device)
    b_enc = torch.zeros(n, device=device)
    return SparseAutoencoder(w_dec.T.clone(), b_enc, w_dec, zeros.clone(), zeros, k=k)


def _step(sae: SparseAutoencoder, x: Tensor, quiet: Tensor, optimiser) -> Tensor:
    """One step on a batch (B, D). Returns how many steps each latent has been silent, (F,)."""
    pre = x @ sae.w_enc + sae.b_enc
    latents = keep_top(pre, sae.k)
    error = x - (latents @ sae.w_dec + sae.b_dec)
    loss = error.square().mean()
    quiet = torch.where((latents > 0).any(0), 0, quiet + 1)
    dead = (quiet > DEAD_AFTER).nonzero()[:, 0]
    if len(dead):
        revived = keep_top(pre[:, dead], min(len(dead), 2 * sae.k)) @ sae.w_dec[dead]
        loss = loss + (error.detach() - revived).square().mean() / 32
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        sae.w_dec.div_(sae.w_dec.norm(dim=1, keepdim=True))
    return quiet
