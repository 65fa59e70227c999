"""Tiny language models with seeded random weights, and a byte-level tokenizer, for the tests."""

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from epkit.lm.models import LanguageModel, wrap_model

# Threads cost tiny models more than they give, on a busy machine a hundred times more.
torch.set_num_threads(1)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] != 'system' %}<system>be kind<end>{% endif %}"
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SHAPE = {
    "vocab_size": 272,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # large enough that every block changes the residual stream
}


def tiny_tokenizer(*, bos=True, pad="own", padding_side="right", chat=True, texts=()):
    """One token per byte, ids below 256, then the special ones. `pad`: "own", "eos" or None.

    Given `texts`, their words are tokens too, with the blank before them.
    """
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=bool(texts))
    core.decoder = decoders.ByteLevel()
    if texts:
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        core.train_from_iterator(
            texts, trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False)
        )
    names = ["<bos>", "<eos>", "<pad>", "<system>", "<user>", "<assistant>", "<end>"]
    core.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    special = {"eos_token": "<eos>"}
    if bos:
        special["bos_token"] = "<bos>"
    if pad:
        special["pad_token"] = "<eos>" if pad == "eos" else "<pad>"
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, padding_side=padding_side, **special
    )
    tokenizer.chat_template = CHAT_TEMPLATE if chat else None
    return tokenizer


def tiny_llama(tokenizer=None, seed=0) -> LanguageModel:
    """Llama-shaped: 4 blocks, width 16."""
    torch.manual_seed(seed)
    module = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    return wrap_model(module, tokenizer or tiny_tokenizer(), name="tiny-llama")


def tiny_gemma2(tokenizer=None, seed=0) -> LanguageModel:
    """Gemma-2-shaped: 4 blocks, width 16, soft-capping, sliding window 8 every other block."""
    torch.manual_seed(seed)
    config = transformers.Gemma2Config(**SHAPE, sliding_window=8, query_pre_attn_scalar=8)
    module = transformers.Gemma2ForCausalLM(config)
    return wrap_model(module, tokenizer or tiny_tokenizer(), name="tiny-gemma2")


def tiny_gpt2(tokenizer=None, seed=0) -> LanguageModel:
    """GPT-2-shaped: 2 blocks, width 16, learned positions, layer norms with a bias."""
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=272, n_embd=16, n_layer=2, n_head=2, n_positions=128, initializer_range=0.3
    )
    module = transformers.GPT2LMHeadModel(config)
    return wrap_model(module, tokenizer or tiny_tokenizer(), name="tiny-gpt2")


TINY = {"llama": tiny_llama, "gemma2": tiny_gemma2}
