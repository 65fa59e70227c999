"""A language model by name: its weights, its tokenizer and its parts, behind one small value.

`load_model` loads the weights that `weights` finds, `wrap_model` takes a module that is already in
memory. `blocks`, `final_norm` and `unembedding` find the parts that the method reads,
so that no other module knows how an architecture names them.

This module does not know what is done with a model: it runs no text through it.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import threading
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import nnsight
import safetensors
import torch
import transformers
from torch import Tensor, nn

from epkit import checks
from epkit.lm import weights

# Where the transformer blocks and the last norm sit in the architectures known here, as
# (blocks, norm): Llama, Mistral, Qwen, Gemma; text part of multimodal; GPT-2; NeoX; OPT.
_LAYOUTS = (
    ("model.layers", "model.norm"),
    ("model.language_model.layers", "model.language_model.norm"),
    ("transformer.h", "transformer.ln_f"),
    ("gpt_neox.layers", "gpt_neox.final_layer_norm"),
    ("model.decoder.layers", "model.decoder.final_layer_norm"),
)

ONE_AT_A_TIME = threading.RLock()
"""Held while a model runs, traced or not: nnsight hooks into the modules themselves, so a trace in
one thread would see, or stop, what another runs; and a notebook answers the clicks on a widget in a
thread of its own."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model, ready to read: evaluation mode, gradients off.

    `module` is the transformers module, `nnsight` the same weights behind nnsight's tracing.
    `revision` changes whenever the weights do, and so does what is computed from them: the hub's
    weights and the wheel's 4-bit ones are never taken for each other. `origin` says in words where
    the weights come from and how they were packed. `vocab_size` counts the token ids that both the
    tokenizer and the embedding know.
    """

    nnsight: nnsight.TransformersModel
    module: nn.Module
    tokenizer: transformers.PreTrainedTokenizerBase
    name: str
    revision: str
    origin: str
    device: torch.device
    dtype: torch.dtype
    n_layers: int
    d_model: int
    vocab_size: int


def load_model(
    name: str | Path,
    *,
    source: str | Path = "auto",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """Load a model and print one line that says what it is and where it came from.

    `name` is a name of the sources table (such as "smollm2-135m-instruct"), a local folder in the
    transformers format, or a hub id. `source` ("auto", "hub", "wheel" or a folder) matters only
    for names of the table.

    `device` defaults to cuda, else mps, else cpu. `dtype` defaults to bfloat16 on cuda cards that
    compute in it (the dtype the models were trained in, and the fast one) and to float32 on older
    cards (T4, V100: they only emulate bfloat16), on cpu and on mps. float16 is never chosen: it
    overflows on the huge activations of some models, the Gemmas among them.

    Raises TypeError (an argument of the wrong type), ValueError (no such source for the name, no
    such device), FileNotFoundError (no such folder, model or no weights in it), RuntimeError (hub
    unreachable, model gated, wheel refused), OSError (disk full).
    """
    if not isinstance(name, str | Path) or not str(name):
        raise TypeError(
            f"name must be a name of the sources table, a folder or a hub id, got {name!r}"
        )
    device = _best_device() if device is None else checks.device(device)
    dtype = _checked_dtype(dtype) or best_dtype(device)
    found = weights.locate(str(name), source)
    try:
        with weights.quiet():
            module = transformers.AutoModelForCausalLM.from_pretrained(
                found.folder, dtype=dtype, use_safetensors=True
            ).to(device)
            tokenizer = transformers.AutoTokenizer.from_pretrained(found.folder)
    except (safetensors.SafetensorError, ValueError, KeyError, OSError) as error:
        said = str(error).strip().splitlines() or ["no reason given"]
        raise ValueError(
            f"{found.folder} cannot be loaded as a causal language model with its tokenizer "
            f"({type(error).__name__}: {said[0]}): get it again, or take another model"
        ) from error
    model = wrap_model(
        module, tokenizer, name=str(name), revision=found.revision, origin=found.origin
    )
    print(
        f"{name}: {model.n_layers} layers × {model.d_model}, "
        f"{str(dtype).removeprefix('torch.')} on {device}, {found.origin}{found.chosen}"
    )
    return model


def wrap_model(
    module: nn.Module,
    tokenizer: transformers.PreTrainedTokenizerBase,
    *,
    name: str,
    revision: str | None = None,
    origin: str = "in memory",
) -> LanguageModel:
    """A `LanguageModel` around a transformers module that is already loaded, say a fine-tuned one.

    The module is switched to evaluation mode and its gradients off, in place. Without a
    `revision` the weights themselves are hashed, which takes about a second per gigabyte: wrap a
    model again after changing its weights.
    """
    module.eval().requires_grad_(False)
    blocks_path, _ = _layout(module)
    weight = module.get_input_embeddings().weight
    with weights.quiet():
        # nnsight gives its tokenizer a pad token and a padding side; ours stays as it was.
        # Without `device` the module would be moved to the first accelerator.
        placed = {} if getattr(module, "hf_device_map", None) else {"device": weight.device}
        traced = nnsight.TransformersModel(module, tokenizer=copy.deepcopy(tokenizer), **placed)
    return LanguageModel(
        nnsight=traced,
        module=module,
        tokenizer=tokenizer,
        name=name,
        revision=revision or _weights_hash(module),
        origin=origin,
        device=weight.device,
        dtype=weight.dtype,
        n_layers=len(_resolve(module, blocks_path)),
        d_model=weight.shape[1],
        vocab_size=min(len(tokenizer), weight.shape[0]),
    )


def check_model(model: object) -> None:
    """TypeError with one sentence for what is no `LanguageModel`, a model's name for instance."""
    if not isinstance(model, LanguageModel):
        raise TypeError(
            f"model must be what load_model or wrap_model gives, got {type(model).__name__}"
        )


# ---- parts ------------------------------------------------------------------------------------


def blocks(model: LanguageModel):
    """The transformer blocks as nnsight envoys: `blocks(model)[L].output` inside a trace."""
    return _resolve(model.nnsight, _layout(model.module)[0])


def final_norm(model: LanguageModel) -> nn.Module:
    """The norm between the last block and the unembedding: (…, D) → (…, D)."""
    return _resolve(model.module, _layout(model.module)[1])


def unembedding(model: LanguageModel) -> nn.Module:
    """The linear map from residual stream to logits: (…, D) → (…, vocabulary), tied or not."""
    head = model.module.get_output_embeddings()
    if head is None:
        raise ValueError(f"{model.name} has no unembedding; a causal language model is needed")
    return head


def unembedding_rows(
    model: LanguageModel, tokens: slice | Tensor, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor | None]:
    """The unembedding of some tokens: weight (V, D), and bias (V,) where there is one."""
    head = unembedding(model)
    bias = getattr(head, "bias", None)
    return head.weight[tokens].to(dtype), None if bias is None else bias[tokens].to(dtype)


def soft_capped(model: LanguageModel, logits: Tensor) -> Tensor:
    """What the model makes of its logits: squeezed by tanh where it soft-caps, as they are else."""
    cap = getattr(model.module.config.get_text_config(), "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


def _layout(module: nn.Module) -> tuple[str, str]:
    for layout in _LAYOUTS:
        with contextlib.suppress(AttributeError):
            # An OPT variant keeps its norm inside the last block and sets None here.
            if all(_resolve(module, path) is not None for path in layout):
                return layout
    known = ", ".join(path for path, _ in _LAYOUTS)
    raise ValueError(
        f"cannot find the transformer blocks and final norm of a {type(module).__name__}; "
        f"looked for blocks at {known}"
    )


def _resolve(root, path: str):
    return reduce(getattr, path.split("."), root)


# ---- small things -------------------------------------------------------------------------------


def _weights_hash(module: nn.Module) -> str:
    config = {k: v for k, v in module.config.to_dict().items() if k != "_name_or_path"}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for key, value in module.state_dict().items():
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """The dtype that `load_model` takes on a device where none is given; it says why."""
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):
        real = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if real else torch.float32


def _checked_dtype(dtype: object) -> torch.dtype | None:
    if dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        return dtype
    raise TypeError(f"dtype must be a floating torch dtype such as torch.float32, got {dtype!r}")
