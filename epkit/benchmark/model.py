"""Forward pass and build on a model of Gemma-2's shape with random weights, made on the device.

Nothing is downloaded: weights, tokenizer (a byte a token) and texts are made here. Two layers and
four percentiles, as `benchmark` has them; the forward pass alone draws the same activations.

Does not know: what random activations say of real ones. Their regions are not those of a language
model, and neither is their number, which is printed.
"""

import random
import string

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from epkit.build import build_from
from epkit.lm.activations import ActivationStream
from epkit.lm.models import LanguageModel, best_dtype, wrap_model

SHAPES = {
    "gemma-2-2b": {
        "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 256_000,
    },
    "small": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 300,
    },
}  # fmt: skip

PERCENTILES = [0.5, 1, 2, 4]

LETTERS = 2000
"""Length of a text, in tokens."""


def random_gemma(shape: str, device: torch.device) -> LanguageModel:
    """A model of a shape, in the dtype that `load_model` takes on the device."""
    config = transformers.Gemma2Config(**SHAPES[shape])
    torch.manual_seed(0)
    with device:
        module = transformers.Gemma2ForCausalLM(config).to(best_dtype(device))
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(vocabulary)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.add_special_tokens(["<bos>", "<eos>", "<pad>"])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
    return wrap_model(module, tokenizer, name=f"random {shape}", revision="seed 0")


def random_texts(n: int) -> list[str]:
    """Texts of random letters with n tokens in all, and a few more."""
    draw = random.Random(0)
    return [
        "".join(draw.choices(string.ascii_letters + "    ", k=LETTERS))
        for _ in range(n // (LETTERS - LETTERS // 100) + 1)
    ]


def print_model(shape: str, n: int, device: torch.device, seconds, forward_alone) -> None:
    """Measure the forward pass, the build, their ratio and the memory, and print a line for each.

    Parameters
    ----------
    shape : of `SHAPES`.
    n : activations.
    seconds, forward_alone : how `benchmark` measures a piece of work and the forward pass.
    """
    cuda = device.type == "cuda"
    model = random_gemma(shape, device)
    layers = [model.n_layers * 10 // 26, model.n_layers * 20 // 26]
    stream = ActivationStream(model, random_texts(n), layers)
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    forward, _ = forward_alone(stream, n)
    quiet = {"checkpoint": False, "keep": False, "show_progress": False}
    made = []

    def work() -> None:
        made.append(build_from(stream, PERCENTILES, n, n_calibration=n // 4, **quiet))

    whole = seconds(work)
    regions = " ".join(f"{layer}/p{p:g}:{len(d)}" for (layer, p), d in made[0].items())
    print(f"\n{shape}-shaped model, random weights, {str(model.dtype).removeprefix('torch.')}, "
          f"{n:,} activations of layers {layers}")  # fmt: skip
    print(f"forward pass {forward:.2f} s; build of eight dictionaries {whole:.2f} s = "
          f"{whole / forward:.2f} x the forward pass; regions {regions}")  # fmt: skip
    peak = f"{torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB" if cuda else "not measured"
    print(f"peak device memory: {peak}")
