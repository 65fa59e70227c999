"""What a region does to what the model writes."""

import pytest
from region_examples import built_atlas

from epkit.inspect.regions import Regions
from epkit.inspect.steering import SteerPanel, continuations
from epkit.interventions import steer, typical_norm
from epkit.lm.activations import ActivationStream
from epkit.lm.generate import answer_texts, generate


@pytest.fixture(scope="module")
def example():
    model, atlas = built_atlas(layers=(2,), percentiles=(5,))
    return model, Regions(atlas[2, 5], model)


def test_continuations_are_those_of_the_edits(example):
    model, regions = example
    prompt = "The cat"
    rows = continuations(model, regions, 3, prompt, 0.5)
    assert len(rows) == 4
    plain = answer_texts(model, generate(model, [prompt], max_new_tokens=24))[0]
    assert rows["as it is"] == plain
    x = next(ActivationStream(model, [prompt], [2], context=128).chunks()).activations[2]
    push = steer(regions.dictionary.means[3], 0.5, typical_norm(x), [2])
    assert (
        rows["steered by +0.50 × norm"]
        == answer_texts(model, generate(model, [prompt], push, max_new_tokens=24))[0]
    )
    with pytest.raises(ValueError, match="type a text"):
        continuations(model, regions, 3, "  ", 0.5)


def test_the_panel_writes_in_its_own_thread_and_says_errors(example):
    model, regions = example
    panel = SteerPanel(model)
    panel.write.click()  # nothing is on show yet
    assert panel.thread is None
    panel.show(regions, 3)
    assert "region 3" in panel.write.description
    panel.write.click()
    panel.thread.join(60)
    assert "region ablated" in panel.said.value
    assert "<img" not in panel.said.value
    assert not panel.write.disabled
    panel.text.value = ""
    panel.write.click()
    panel.thread.join(60)
    assert "type a text to go on from" in panel.said.value


def test_without_the_model_it_says_so(example):
    panel = SteerPanel(example[0].tokenizer)
    assert panel.write.disabled
    assert "needs the model" in panel.said.value
