"""What names a word: the lens at its tokens, and the next token of a forced beginning."""

import pytest
import torch
from tiny_models import tiny_gpt2, tiny_llama, tiny_tokenizer

from epkit.lm.lens import logit_lens
from epkit.lm.models import unembedding
from epkit.lm.tokens import chat_ids
from epkit.studies.secrets import naming

WORDS = ["moon", "ship"]


def tokenizer():
    return tiny_tokenizer(texts=[" moon ship"] * 3)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_logits_are_those_of_the_logit_lens_at_the_best_token(make):
    model = make(tokenizer())
    directions = torch.randn(7, model.d_model, generator=torch.Generator().manual_seed(0))
    found = naming.word_logits(model, directions, WORDS)
    lens = logit_lens(model, directions, model.vocab_size)
    assert found.shape == (7, 2)
    for k in range(7):
        logits = dict(zip(lens.promoted[k].tolist(), lens.promoted_logits[k], strict=True))
        for i, word in enumerate(WORDS):
            best = max(logits[t] for t in naming.word_tokens(model.tokenizer, word))
            assert found[k, i].item() == pytest.approx(best.item(), abs=1e-4)


def test_a_word_is_its_single_tokens_or_its_first():
    own = tokenizer()
    ids = naming.word_tokens(own, "moon")
    assert own.decode(ids[:1]) == " moon"
    assert all(own.decode([i]).strip().lower() == "moon" for i in ids)
    assert len(naming.word_tokens(tiny_tokenizer(), "moon")) == 1


def test_a_direction_along_a_word_s_own_readout_names_it():
    model = tiny_llama(tokenizer())
    (token, *_) = naming.word_tokens(model.tokenizer, "ship")
    direction = unembedding(model).weight[token].detach()[None]
    moon, ship = naming.word_logits(model, direction, WORDS)[0]
    assert ship > moon


def test_a_forced_beginning_is_read_at_its_end():
    model = tiny_llama(tokenizer())
    found = naming.forced_logits(model, "A hint?", WORDS)
    ids = chat_ids(model, [{"role": "user", "content": "A hint?"}], open_answer=True)
    ids = ids + model.tokenizer(naming.FORCED, add_special_tokens=False).input_ids
    with torch.no_grad():
        logits = model.module(torch.tensor([ids])).logits[0, -1]
    for i, word in enumerate(WORDS):
        best = logits[naming.word_tokens(model.tokenizer, word)].max()
        assert found[i].item() == pytest.approx(best.item(), abs=1e-5)
