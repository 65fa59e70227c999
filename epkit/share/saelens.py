"""A dictionary as a folder that SAELens loads with no code of ours.

A `topk` autoencoder with k = 1 reads z = (x − c)·Eᵀ and keeps the largest entry where it is
positive; (x − c)·e is |x − c| times the cosine, so that on every row the largest entry is that of
the nearest region, whatever the row's length. Its decoding is z·E + c.

What is exact: `encode(x).argmax()` equals `assign(x)` for every activation whose nearest region is
nearer than a right angle (cosine distance below 1), up to float32 rounding of ties; one at a right
angle or farther encodes to zeros, which SAELens reads as "no latent". No activation that founded or
joined a region at a threshold below 1 is so far from it.

In the mean basis, `argmax` is the region of the nearest mean instead, which is not membership. With
k > 1 the k largest projections are kept, which is the top-k readout; `argmax` stays what it was.

Does not know: SAELens itself; it writes two files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from epkit import checks
from epkit.dictionary import Dictionary
from epkit.files import write_tensors, write_text
from epkit.readouts import BASES, basis_of

SAELENS_VERSION = "6.54.12"
"""The format that was tested."""


def save_saelens(
    d: Dictionary,
    folder: str | os.PathLike,
    *,
    hook_name: str,
    basis: str = "exemplar",
    k: int = 1,
    model_name: str | None = None,
) -> Path:
    """Write `sae_weights.safetensors` and `cfg.json` for `SAE.load_from_disk(folder)`.

    Parameters
    ----------
    d : the dictionary; K regions become K latents of width D.
    folder : is made where it does not exist; the two files in it are replaced.
    hook_name : where the activations are read, as TransformerLens names it:
        "blocks.20.hook_resid_post" for layer 20.
    basis : "exemplar" (argmax is membership) or "mean".
    k : latents that an activation may have, of K at most: 1 is the nearest region alone.
    model_name : by default the one in the dictionary's metadata.

    Returns
    -------
    the folder.

    Raises
    ------
    ValueError, TypeError : a basis, a k or a name that cannot be.
    OSError : the folder cannot be written.
    """
    checks.one_of("basis", basis, BASES)
    k = checks.whole("k", k, 1, len(d))
    for name, value in (("hook_name", hook_name), ("model_name", model_name or "unknown")):
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name} must be a name such as 'blocks.20.hook_resid_post'")
    directions = basis_of(d, basis).float().cpu()
    folder = checks.path("folder", folder)
    weights = {
        "W_enc": directions.T.contiguous(),
        "W_dec": directions.contiguous(),
        "b_enc": torch.zeros(len(d)),
        "b_dec": d.centre.float().cpu(),
    }
    write_tensors(folder / "sae_weights.safetensors", weights, {"basis": basis})
    config = _config(d, hook_name, basis, k, model_name)
    write_text(folder / "cfg.json", json.dumps(config, indent=1))
    return folder


def _config(d: Dictionary, hook_name: str, basis: str, k: int, model_name: str | None) -> dict:
    about = d.metadata
    exact = (
        "argmax is the nearest exemplar" if basis == "exemplar" else "argmax is the nearest mean"
    )
    return {
        "architecture": "topk",
        "k": k,
        "d_in": len(d.centre),
        "d_sae": len(d),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
        "metadata": {
            "sae_lens_version": SAELENS_VERSION,
            "sae_lens_training_version": None,
            "model_name": model_name or about.get("model", "unknown"),
            "hook_name": hook_name,
            "context_size": about.get("context", 128),
            "prepend_bos": True,
            "dataset_path": about.get("corpus"),
            "epkit": {
                "method": "Exemplar Partitioning (arXiv 2605.14347)",
                "basis": basis,
                "threshold": d.threshold,
                "percentile": about.get("percentile"),
                "layer": about.get("layer"),
                "exact": f"{exact} for every activation at cosine distance below 1 of it",
            },
        },
    }
