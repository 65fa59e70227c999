from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama

import epkit
from epkit.lm.activations import ActivationStream
from epkit.lm.models import wrap_model
from epkit.monitor import AlarmRule
from epkit.studies.ood import alarms

TEXTS = ["some text to read", "another", "a third one, somewhat longer than that"]


def distances(n, mean=0.4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.randint(5, 40, (n,), generator=rng).tolist()
    return [mean + 0.1 * torch.randn(size, generator=rng) for size in sizes]


@pytest.fixture
def rule():
    return AlarmRule.fit(distances(80), 0.1)


def dictionary(dim):
    return epkit.partition(mixture(100, dim), [20], device="cpu")[20]


def test_token_distances_are_those_of_each_text_alone():
    model = tiny_llama()
    d = dictionary(model.d_model)
    found = alarms.token_distances(model, d, 1, TEXTS)
    for text, values in zip(TEXTS, found, strict=True):
        (chunk,) = ActivationStream(model, [text], [1]).chunks()
        torch.testing.assert_close(values, d.assign(chunk.activations[1])[1], atol=1e-5, rtol=1e-4)


def test_alarms_among_fresh_texts_lie_in_their_range(rule):
    fresh = distances(200, seed=1)
    found = alarms.fresh_alarms(rule, fresh)
    flags = [rule.score(text) > rule.threshold for text in fresh]
    assert (found.count, found.n) == (sum(flags), 200)
    assert found.low <= found.count <= found.high
    assert str(found).startswith(f"{found.count} of 200 = {found.count / 200:.3f} [")
    wide = alarms.fresh_alarms(rule, fresh, level=0.9999)
    assert wide.low <= found.low < found.high <= wide.high
    strange = alarms.fresh_alarms(rule, distances(50, mean=0.8))
    assert strange.count == 50 > strange.high


def test_lengths_that_no_text_has_are_left_out(rule):
    fresh = distances(60, seed=2)
    table = alarms.length_table(rule, fresh, lengths=(2, 16, 64))
    assert list(table.tokens) == [2, 16]
    assert list(table.texts) == [60, sum(len(text) >= 16 for text in fresh)]
    cut = [float(text[:2].mean()) for text in fresh]
    assert table["mean distance"][0] == pytest.approx(np.mean(cut))
    assert table["its spread over texts"][0] > table["its spread over texts"][1]


def test_foreign_texts_are_caught_by_how_far_they_are(rule):
    near, far = torch.full((5, 16), 0.4), torch.full((4, 16), 0.9)
    table = alarms.caught_table(rule, {"near": near, "far": far}, (8, 16, 32))
    assert list(table.columns) == ["8 tokens", "16 tokens"]
    assert [cell.value for cell in table["16 tokens"]] == [0, 1]


def test_spliced_texts_point_at_their_ends():
    def check(text):
        end = text.split(" ")[1]
        places = [9, 10] if end == "strange" else [1, 9]
        return SimpleNamespace(
            flagged=end == "strange", n_tokens=12,
            tokens=[SimpleNamespace(position=place) for place in places],
        )  # fmt: skip

    passages = {"code": ["strange", "usual"], "maths": ["usual"]}
    table = alarms.splice_table(SimpleNamespace(check=check), ["a", "b"], passages, kept=9)
    assert list(table.texts) == [2, 1]
    assert [cell.value for cell in table.flagged] == [0.5, 0]
    assert [cell.value for cell in table["worst tokens in the passage"]] == [0.75, 0.5]
    assert table["by chance"].tolist() == [0.25, 0.25]
    assert not len(alarms.splice_table(None, ["a"], {}, kept=9))


@pytest.mark.slow
def test_token_distances_of_a_far_model_come_home(far):
    model = tiny_llama()
    model = wrap_model(model.module.to(far), model.tokenizer, name=model.name)
    d = dictionary(model.d_model).to(far)
    found = alarms.token_distances(model, d, 1, TEXTS)
    assert {values.device.type for values in found} == {"cpu"}
    assert len(alarms.flagged(AlarmRule.fit(distances(40), 0.1), found)) == len(TEXTS)
