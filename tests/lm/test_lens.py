"""The logit lens against W_U · final_norm(direction) written out, for several architectures."""

import pytest
import torch
import transformers
from tiny_models import SHAPE, tiny_gemma2, tiny_gpt2, tiny_llama, tiny_tokenizer

from epkit.lm import lens
from epkit.lm.lens import logit_lens, token_texts
from epkit.lm.models import wrap_model

K, D = 7, 16


def tied_llama():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SHAPE, tie_word_embeddings=True)
    return wrap_model(transformers.LlamaForCausalLM(config), tiny_tokenizer(), name="tied")


MODELS = {"llama": tiny_llama, "gemma2": tiny_gemma2, "gpt2": tiny_gpt2, "tied": tied_llama}


@pytest.fixture
def directions():
    x = torch.randn(K, D, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.normalize(x, dim=1)


@pytest.fixture(params=MODELS)
def model(request):
    model = MODELS[request.param]()
    torch.manual_seed(1)
    for name, parameter in model.module.named_parameters():
        if "norm" in name or "ln_f" in name:  # a fresh norm is the identity, which tests nothing
            parameter.data.normal_(1, 0.5)
    return model


def by_hand(model, directions):
    """(K, vocabulary) logits in float64 from the weights themselves."""
    module = model.module.double()
    x = directions.double() * D**0.5
    if hasattr(module, "transformer"):
        norm = module.transformer.ln_f
        x = (x - x.mean(1, keepdim=True)) / (
            x.var(1, keepdim=True, unbiased=False) + norm.eps
        ).sqrt()
        x = x * norm.weight + norm.bias
    else:
        weight = module.model.norm.weight
        weight = 1 + weight if model.name == "tiny-gemma2" else weight
        eps = module.config.rms_norm_eps
        x = x / (x.square().mean(1, keepdim=True) + eps).sqrt() * weight
    logits = x @ module.get_output_embeddings().weight[: model.vocab_size].T
    cap = getattr(module.config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


def test_it_is_the_formula(model, directions):
    got = logit_lens(model, directions, k=5)
    logits = by_hand(model, directions)
    for largest, ids, values in [
        (True, got.promoted, got.promoted_logits), (False, got.suppressed, got.suppressed_logits)
    ]:  # fmt: skip
        wanted = logits.topk(5, largest=largest)
        assert ids.dtype == torch.int64
        assert values.dtype == torch.float32
        assert torch.equal(ids, wanted.indices)
        torch.testing.assert_close(values.double(), wanted.values, atol=1e-4, rtol=1e-4)


def test_tied_and_untied_are_what_they_say():
    tied, untied = tied_llama().module, tiny_llama().module
    assert tied.lm_head.weight.data_ptr() == tied.model.embed_tokens.weight.data_ptr()
    assert untied.lm_head.weight.data_ptr() != untied.model.embed_tokens.weight.data_ptr()


def test_soft_capping_is_honoured(directions):
    model = tiny_gemma2()
    model.module.config.final_logit_softcapping = 0.5
    capped = logit_lens(model, directions, k=4)
    model.module.config.final_logit_softcapping = None
    bare = logit_lens(model, directions, k=4)
    assert torch.equal(capped.promoted, bare.promoted)
    assert bare.promoted_logits.max() > 0.5
    torch.testing.assert_close(capped.promoted_logits, 0.5 * torch.tanh(bare.promoted_logits / 0.5))
    assert capped.suppressed_logits.min() >= -0.5


def test_length_does_not_count(model, directions):
    one, other = logit_lens(model, directions, 3), logit_lens(model, 1e-3 * directions, 3)
    assert torch.equal(one.promoted, other.promoted)
    torch.testing.assert_close(one.promoted_logits, other.promoted_logits)


def test_it_is_the_models_own_head(directions):
    """A direction of the scale used goes through norm and head as the last residual would."""
    model = tiny_llama()
    logits = model.module.lm_head(model.module.model.norm(directions * D**0.5))
    got = logit_lens(model, directions, 1)
    assert torch.equal(got.promoted[:, 0], logits[:, : model.vocab_size].argmax(1))


def test_blocks_change_nothing(model, directions, monkeypatch):
    whole = logit_lens(model, directions, 20)
    monkeypatch.setattr(lens, "VOCABULARY", 13)
    monkeypatch.setattr(lens, "REGIONS", 3)
    cut = logit_lens(model, directions, 20)
    assert torch.equal(whole.promoted, cut.promoted)
    assert torch.equal(whole.suppressed, cut.suppressed)
    torch.testing.assert_close(whole.promoted_logits, cut.promoted_logits)


def test_the_whole_matrix_never_exists(directions, monkeypatch):
    sizes = []
    linear = torch.nn.functional.linear

    def spy(*args):
        out = linear(*args)
        sizes.append(tuple(out.shape))
        return out

    monkeypatch.setattr(lens, "VOCABULARY", 64)
    monkeypatch.setattr(lens, "REGIONS", 4)
    monkeypatch.setattr(lens.nn.functional, "linear", spy)
    logit_lens(tiny_llama(), directions, 3)
    assert max(rows for rows, _ in sizes) == 4
    assert max(columns for _, columns in sizes) == 64


def test_ids_the_tokenizer_does_not_know_are_not_ranked(directions):
    model = tiny_llama()
    assert model.vocab_size < model.module.lm_head.weight.shape[0]
    got = logit_lens(model, directions, model.vocab_size)
    assert got.promoted.max() == model.vocab_size - 1
    assert len(got.promoted[0].unique()) == model.vocab_size


def test_an_unembedding_with_a_bias(directions):
    model = tiny_llama()
    head = model.module.lm_head
    head.bias = torch.nn.Parameter(torch.zeros(len(head.weight)))
    head.bias.data[9] = 1000.0
    assert (logit_lens(model, directions, 1).promoted == 9).all()


def test_half_precision_models_are_read_in_float32(directions):
    model = tiny_llama()
    wanted = logit_lens(model, directions, 3)
    half = wrap_model(model.module.bfloat16(), model.tokenizer, name="half")
    got = logit_lens(half, directions, 3)
    assert got.promoted_logits.dtype == torch.float32
    assert len(got.promoted_logits.unique()) == got.promoted_logits.numel()  # no bfloat16 steps
    torch.testing.assert_close(got.promoted_logits, wanted.promoted_logits, atol=0.1, rtol=0.05)


def test_the_model_is_left_as_it_was(model, directions):
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    logit_lens(model, directions, 2)
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())


def test_no_direction_gives_an_empty_lens(directions):
    got = logit_lens(tiny_llama(), directions[:0], 4)
    assert len(got) == 0
    assert got.promoted.shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "k", "words"),
    [
        (lambda x: x, 0, "k must be in 1 … 263, got int 0"),
        (lambda x: x, 10_000, "k must be in 1 … 263, got int 10000"),
        (lambda x: x[:, :5], 3, "5 dimensions, expected 16"),
        (lambda x: x[0], 3, "shape"),
        (lambda x: x * torch.nan, 3, "finite"),
        (lambda x: x * 0, 3, "a direction is zero"),
    ],
)
def test_bad_input_gets_one_sentence(directions, change, k, words):
    with pytest.raises(ValueError, match=words):
        logit_lens(tiny_llama(), change(directions), k)


@pytest.mark.parametrize("k", [2.5, "3", True, None])
def test_k_is_a_whole_number(directions, k):
    with pytest.raises(TypeError, match="k must be a whole number, got"):
        logit_lens(tiny_llama(), directions, k)


def test_a_model_by_name_is_refused(directions):
    with pytest.raises(TypeError, match="model must be what load_model or wrap_model gives"):
        logit_lens("smollm2-135m-instruct", directions)


def test_texts_of_tokens_keep_their_space():
    tokenizer = tiny_tokenizer()
    ids = tokenizer(" a$<", add_special_tokens=False)["input_ids"]
    assert token_texts(tokenizer, torch.tensor(ids)) == [" ", "a", "$", "<"]
    assert token_texts(tokenizer, []) == []
    byte = tokenizer("é", add_special_tokens=False)["input_ids"]
    assert token_texts(tokenizer, byte) == ["\ufffd", "\ufffd"]


def test_texts_of_sentencepiece_tokens_keep_their_space():
    class Stripping:
        """As tokenizers that take every token for the start of a text."""

        def batch_decode(self, ids, **_):
            return [{0: "the", 1: "the"}[i] for (i,) in ids]

        def convert_ids_to_tokens(self, ids):
            return [{0: "▁the", 1: "the"}[i] for i in ids]

    assert token_texts(Stripping(), [0, 1]) == [" the", "the"]


def test_standardised_it_ranks_tokens_by_z_scores_over_the_directions(model, directions):
    cap = getattr(model.module.config, "final_logit_softcapping", None)
    found = logit_lens(model, directions, 5, standardise=True)
    if cap:
        model.module.config.final_logit_softcapping = None  # z-scores are of uncapped logits
    logits = by_hand(model, directions)
    z = ((logits - logits.mean(0)) / logits.std(0, unbiased=False)).nan_to_num().float()
    torch.testing.assert_close(found.promoted_logits, z.topk(5, dim=1).values, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        found.suppressed_logits, z.gather(1, found.suppressed), atol=1e-3, rtol=1e-3
    )
    with pytest.raises(ValueError, match="at least two"):
        logit_lens(model, directions[:1], standardise=True)


def test_a_token_that_does_not_vary_has_no_z_score():
    model = tiny_llama()
    model.module.lm_head.weight.data[3] = 0
    x = torch.randn(9, D, generator=torch.Generator().manual_seed(0))
    found = logit_lens(model, x, model.vocab_size, standardise=True)
    assert found.promoted_logits.isfinite().all()
    assert (found.promoted_logits[found.promoted == 3] == 0).all()


def test_directions_can_be_standardised_over_others(model, directions):
    alone = logit_lens(model, directions, 5, standardise=True)
    some = logit_lens(model, directions[:2], 5, standardise=True, among=directions)
    assert torch.equal(some.promoted, alone.promoted[:2])
    torch.testing.assert_close(some.promoted_logits, alone.promoted_logits[:2])
    one = logit_lens(model, directions[:1], 5, standardise=True, among=directions)
    assert torch.equal(one.suppressed, alone.suppressed[:1])
    with pytest.raises(ValueError, match="standardise=True"):
        logit_lens(model, directions, among=directions)
