"""Chats of prompts, and what a chat template adds."""

from tiny_models import tiny_llama

from epkit.lm.tokens import chat_ids, chats, closing_tokens


def test_each_prompt_is_a_chat_of_one_message():
    assert chats(["a", "b"]) == [[{"role": "user", "content": c}] for c in "ab"]
    assert chats([]) == []


def test_the_template_after_an_answer_is_counted():
    model = tiny_llama()
    back = closing_tokens(model)
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    ids = chat_ids(model, chat, open_answer=False)
    assert "Yes".endswith(model.tokenizer.decode([ids[-1 - back]]).strip())
