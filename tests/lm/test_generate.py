from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from conftest import mixture
from tiny_models import TINY, tiny_llama, tiny_tokenizer

import epkit
import epkit.lm.generate
from epkit.interventions import ablate, chain, steer, swap
from epkit.lm.activations import ActivationStream
from epkit.lm.generate import Generation, answer_texts, generate, perplexity
from epkit.lm.lens import logit_lens
from epkit.lm.models import blocks
from epkit.lm.trace import trace_prompt

CHATS = [
    [{"role": "user", "content": text}]
    for text in ("Hi", "How do tides work?", "Name a fruit that is neither red nor green.")
]
NEW = 8


@pytest.fixture(params=sorted(TINY))
def model(request):
    return TINY[request.param]()


def several_edits():
    v = mixture(4, 16, seed=3)
    return chain(
        ablate(v[:2], v[3], [1, 2]), steer(v[2], 0.4, 5.0, [2]), swap(v[0], v[1], v[3], [3])
    )


def by_hooks(model, prompt, edits, steps):
    """Greedy ids one prompt at a time, no padding and no key-value cache, edits as plain hooks."""
    modules = [envoy._module for envoy in blocks(model)]
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, out, edit=edit: edit(out))
        for layer, edit in edits.items()
    ]
    ids = model.tokenizer.apply_chat_template(
        prompt, tokenize=True, return_dict=False, add_generation_prompt=True
    )
    answer = []
    with torch.no_grad():
        while len(answer) < steps and (not answer or answer[-1] not in end_ids(model)):
            logits = model.module(torch.tensor([ids + answer]), use_cache=False).logits
            answer.append(int(logits[0, -1].argmax()))
    for handle in handles:
        handle.remove()
    return answer


def end_ids(model):
    ends = model.module.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [ends]


@pytest.mark.parametrize("edits", [{}, several_edits()], ids=["none", "edits"])
def test_a_batch_equals_plain_hooks_on_each_prompt_alone(model, edits):
    together = generate(model, CHATS, edits, max_new_tokens=NEW, batch_size=3)
    expected = [by_hooks(model, chat, edits, NEW) for chat in CHATS]
    assert [g.answer for g in together] == expected


def test_the_shared_start_is_read_once_unless_a_window_is_too_short(model, monkeypatch):
    seen = []
    real = epkit.lm.generate._start_cache
    monkeypatch.setattr(
        epkit.lm.generate, "_start_cache", lambda *a: seen.append(a[1].shape[1]) or real(*a)
    )
    generate(model, CHATS, max_new_tokens=2)
    windowed = "gemma" in model.name
    assert seen == ([] if windowed else [len("be kind") + 4])


def test_edits_matter_and_leave_no_trace(model):
    before = generate(model, CHATS, max_new_tokens=NEW)
    edited = generate(model, CHATS, several_edits(), max_new_tokens=NEW)
    assert [g.answer for g in edited] != [g.answer for g in before]
    assert generate(model, CHATS, max_new_tokens=NEW) == before


def test_answers_come_in_the_order_of_the_prompts_whatever_the_batches(model):
    whole = generate(model, CHATS[::-1], several_edits(), max_new_tokens=NEW)
    parts = generate(model, CHATS, several_edits(), max_new_tokens=NEW, batch_size=1)
    assert whole == parts[::-1]


def test_an_answer_ends_at_eos():
    model = tiny_llama()
    longest = generate(model, CHATS[:1], max_new_tokens=NEW)[0].answer
    model.module.generation_config.eos_token_id = longest[2]
    (ended,) = generate(model, CHATS[:1], max_new_tokens=NEW)
    assert ended.answer == longest[: longest.index(longest[2]) + 1]


def test_plain_strings_are_continued():
    model = tiny_llama()
    (g,) = generate(model, ["ab"], max_new_tokens=2)
    assert g.prompt == [model.tokenizer.bos_token_id, *model.tokenizer("ab").input_ids]


def test_no_warning_and_nothing_on_stderr(recwarn, capfd):
    generate(tiny_llama(), CHATS, several_edits(), max_new_tokens=3)
    assert not recwarn.list
    assert capfd.readouterr().err == ""


def test_perplexity_is_that_of_the_answer_tokens(model):
    answers = generate(model, CHATS, several_edits(), max_new_tokens=NEW)
    answers[1] = Generation(answers[1].prompt, answers[1].answer[:3])
    losses = []
    for g in answers:
        with torch.no_grad():
            logits = model.module(torch.tensor([g.prompt + g.answer])).logits[0]
        log_p = logits[len(g.prompt) - 1 : -1].double().log_softmax(-1)
        losses += [-log_p[i, token].item() for i, token in enumerate(g.answer)]
    expected = torch.tensor(losses).mean().exp().item()
    assert perplexity(model, answers) == pytest.approx(expected, rel=1e-4)


def test_texts_are_without_special_tokens():
    model = tiny_llama()
    ids = [*model.tokenizer("plain").input_ids, model.tokenizer.eos_token_id]
    assert answer_texts(model, [Generation([1], ids)]) == ["plain"]


def test_bad_input_is_refused():
    model = tiny_llama()
    with pytest.raises(ValueError, match="prompts is empty"):
        generate(model, [])
    with pytest.raises(ValueError, match="layer 9"):
        generate(model, CHATS, {9: lambda x: x})
    with pytest.raises(ValueError, match="chat template"):
        generate(tiny_llama(tiny_tokenizer(chat=False)), CHATS)
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        generate(tiny_llama(tiny_tokenizer(bos=False)), ["a", ""])
    with pytest.raises(ValueError, match="prompt 1 holds half of a surrogate pair at character 2"):
        generate(model, ["fine", "ab\ud83d"])
    with pytest.raises(ValueError, match="empty"):
        perplexity(model, [Generation([1, 2], [])])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "smollm2"}, "model must be what load_model or wrap_model gives, got str"),
        ({"prompts": "one"}, "prompts must be a list, got str 'one'; wrap one value"),
        ({"prompts": 3}, "prompts must be a list, got int"),
        ({"prompts": ["a", 3]}, "prompt 1 is int, not a string or a chat"),
        ({"prompts": [CHATS[0][0]]}, "prompt 0 is a single message"),
        ({"edits": [1]}, r"edits must be \{layer: edit\} or None, got list"),
        ({"edits": {"1": abs}}, "the layer of an edit must be a whole number, got str"),
        ({"max_new_tokens": 2.0}, "max_new_tokens must be a whole number, got float"),
        ({"max_new_tokens": True}, "max_new_tokens must be a whole number, got bool"),
        ({"batch_size": "8"}, "batch_size must be a whole number, got str"),
    ],
)
def test_arguments_of_the_wrong_type(change, words):
    with pytest.raises(TypeError, match=words):
        generate(**({"model": tiny_llama(), "prompts": CHATS} | change))


@pytest.mark.parametrize("change", [{"max_new_tokens": 0}, {"batch_size": 0}])
def test_numbers_out_of_range(change):
    with pytest.raises(ValueError, match="must be at least 1, got int 0"):
        generate(tiny_llama(), CHATS, **change)


def test_numpy_integers_are_integers():
    model = tiny_llama()
    edits = {np.int64(layer): edit for layer, edit in several_edits().items()}
    got = generate(model, CHATS, edits, max_new_tokens=np.int64(3), batch_size=np.int32(2))
    assert got == generate(model, CHATS, several_edits(), max_new_tokens=3)


def test_special_tokens_in_plain_text_are_text():
    model = tiny_llama()
    (g,) = generate(model, ["<bos><bos><eos>"], max_new_tokens=1)
    assert g.prompt.count(model.tokenizer.bos_token_id) == 1
    assert model.tokenizer.eos_token_id not in g.prompt
    assert model.tokenizer.decode(g.prompt[1:]) == "<bos><bos><eos>"


def test_threads_that_mix_generation_traces_and_streams_on_one_model(model):
    """Each thread gets what it gets alone, whatever the others run meanwhile."""
    (chunk,) = ActivationStream(model, ["pack my box with five dozen jugs"], [1, 2]).chunks()
    cal = epkit.calibrate(chunk.activations[1], [20], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[20], device="cpu")
    dictionaries = {1: part.partial_fit(chunk.activations[1]).dictionary(layer=1)}

    def stream():
        found = list(ActivationStream(model, ["tides", "and", "winds"], [0, 3]).chunks())
        return [c.activations[layer].tolist() for c in found for layer in (0, 3)]

    jobs = [
        lambda: generate(model, CHATS, several_edits(), max_new_tokens=4),
        lambda: generate(model, CHATS, max_new_tokens=4),
        lambda: perplexity(model, [Generation([1, 2], [3, 4])]),
        lambda: trace_prompt(model, dictionaries, "a cake").region.tolist(),
        lambda: logit_lens(model, dictionaries[1].exemplars, 3).promoted.tolist(),
        stream,
    ]
    alone = [job() for job in jobs]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda job: job(), jobs * 5))
    assert found == alone * 5
