"""The monitor: a false-alarm rate that holds, scores by hand, failures by name."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom
from tiny_models import tiny_llama, tiny_tokenizer

import epkit
from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import UniformTokens
from epkit.monitor import AlarmRule, OODMonitor, check_enough


def simulated(rng, n, lengths=(5, 80)):
    """Token distances of n texts: an effect of the text, skewed effects of tokens, any length."""
    sizes = rng.integers(*lengths, size=n)
    text = rng.normal(0.4, 0.03, size=n)
    return [torch.tensor(t + rng.gamma(2, 0.08, size=s)) for t, s in zip(text, sizes, strict=True)]


@pytest.mark.parametrize(("n", "false_alarm"), [(40, 0.05), (53, 0.1)])
def test_the_false_alarm_rate_is_the_one_asked_for(n, false_alarm):
    """Over many fits: at most α, and no less than α − 1 / (n + 1) of the texts that set it."""
    rng = np.random.default_rng(0)
    flagged, fits, fresh = 0, 1200, 12
    for _ in range(fits):
        rule = AlarmRule.fit(simulated(rng, n), false_alarm)
        flagged += sum(rule.score(text) > rule.threshold for text in simulated(rng, fresh))
    calibrated = n - n // 4
    expected = math.floor((calibrated + 1) * false_alarm) / (calibrated + 1)
    # The rate of one fit is itself random (Beta), so the spread is more than binomial.
    spread = math.sqrt(false_alarm / fits * (1 / fresh + 1 / calibrated))
    assert abs(flagged / (fits * fresh) - expected) < 4 * spread
    assert expected <= false_alarm


def test_the_rate_of_one_fit_follows_the_stated_beta():
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(60):
        rule = AlarmRule.fit(simulated(rng, 80), 0.1)
        fresh = simulated(rng, 100)
        rates.append(sum(rule.score(text) > rule.threshold for text in fresh) / len(fresh))
    j = math.floor(61 * 0.1)
    stated = beta(j, 61 - j)
    assert np.mean(rates) == pytest.approx(stated.mean(), abs=0.02)
    sampling = stated.mean() * (1 - stated.mean()) / 100
    assert np.std(rates) == pytest.approx(math.sqrt(stated.var() + sampling), rel=0.35)


@pytest.mark.parametrize("length", [6, 15, 60, 240])
def test_the_rate_does_not_depend_on_the_length_of_a_text(length):
    """Fitted on texts of 60 tokens; the mean alone would flag one in six of 6 tokens."""
    rng = np.random.default_rng(2)
    rule = AlarmRule.fit(simulated(rng, 4000, (60, 61)), 0.1)
    texts = simulated(rng, 2000, (length, length + 1))
    rate = np.mean([rule.score(text) > rule.threshold for text in texts])
    assert 0.07 < rate < 0.14


def test_the_mean_alone_would_drift():
    rng = np.random.default_rng(2)
    long, short = simulated(rng, 4000, (60, 61)), simulated(rng, 2000, (6, 7))
    threshold = np.quantile([float(text.mean()) for text in long], 0.9)
    assert np.mean([float(text.mean()) > threshold for text in short]) > 0.15


def test_the_rule_by_hand():
    # first quarter, of 3 tokens: means .2 and .4, each with squares .02 and 2 degrees of freedom
    first = [torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.3, 0.4, 0.5])]
    rest = [torch.tensor([0.1 * i + 0.05, 0.1 * i + 0.15]) for i in range(6)]
    rule = AlarmRule.fit(first + rest, 0.3)
    assert rule.mean == pytest.approx(0.3)
    assert rule.within == pytest.approx(0.1)
    assert rule.between == pytest.approx(math.sqrt(0.02 - 0.01 / 3))
    spread = math.sqrt(0.02 - 0.01 / 3 + 0.01 / 2)
    expected = [(0.1 * i - 0.2) / spread for i in range(6)]
    assert rule.scores.tolist() == pytest.approx(expected, abs=1e-6)
    # n = 6, ⌊7 · .3⌋ = 2: the fifth smallest, and one of six lies above it
    assert rule.threshold == pytest.approx(expected[4])
    assert rule.p_value(rule.score(torch.tensor([0.9]))) == pytest.approx(1 / 7)
    assert rule.p_value(expected[4] - 1e-3) == pytest.approx(3 / 7)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(40, 70),
    st.floats(0.05, 0.9),
    st.integers(1, 30),
)
def test_flagged_means_a_small_p_value_and_order_does_not_matter(seed, n, false_alarm, tokens):
    rng = np.random.default_rng(seed)
    texts = [text.round(decimals=2) for text in simulated(rng, n, (1, 4))]  # with ties
    rule = AlarmRule.fit(texts, false_alarm)
    new = torch.tensor(rng.normal(0.6, 0.2, size=tokens))
    score = rule.score(new)
    assert (score > rule.threshold) == (rule.p_value(score) <= false_alarm)
    assert rule.score(new.flip(0)) == pytest.approx(score)
    quarter = n // 4
    again = [texts[i] for i in rng.permutation(quarter)]
    again += [texts[quarter + i] for i in rng.permutation(n - quarter)]
    assert AlarmRule.fit(again, false_alarm).threshold == pytest.approx(rule.threshold)


@pytest.mark.parametrize(("false_alarm", "needed"), [(0.05, 25), (0.1, 11), (0.01, 131), (0.5, 8)])
def test_too_few_texts_are_told_how_many_are_needed(false_alarm, needed):
    check_enough(needed, false_alarm)
    with pytest.raises(ValueError, match=f"needs at least {needed} texts to fit on, got"):
        check_enough(needed - 1, false_alarm)
    texts = simulated(np.random.default_rng(0), needed)
    assert math.isfinite(AlarmRule.fit(texts, false_alarm).threshold)


def test_what_cannot_be_fitted_is_named():
    texts = simulated(np.random.default_rng(0), 30)
    with pytest.raises(ValueError, match=r"false_alarm must be a finite number in \(0, 1\)"):
        AlarmRule.fit(texts, 5)
    with pytest.raises(ValueError, match="text 3 of those to fit on holds no token"):
        AlarmRule.fit([*texts[:3], torch.empty(0), *texts[3:]])
    with pytest.raises(ValueError, match="all at the same distance"):
        AlarmRule.fit([torch.full((4,), 0.5)] * 30)
    with pytest.raises(ValueError, match="the text is empty"):
        AlarmRule.fit(texts).score(torch.empty(0))


@pytest.mark.parametrize("text", [[0.1, 0.2], torch.ones(2, 2), "text", None])
def test_distances_are_a_vector(text):
    texts = simulated(np.random.default_rng(0), 30)
    with pytest.raises(TypeError, match=r"must be a \(T,\) tensor of token distances, got"):
        AlarmRule.fit([*texts, text])
    with pytest.raises(TypeError, match=r"must be a \(T,\) tensor of token distances, got"):
        AlarmRule.fit(texts).score(text)


def test_distances_are_finite():
    texts = simulated(np.random.default_rng(0), 30)
    with pytest.raises(ValueError, match=r"text 30 .* is not finite"):
        AlarmRule.fit([*texts, torch.tensor([0.2, torch.nan])])


# ---- with a model -------------------------------------------------------------------------------

LETTERS = "etaoin shrdlu"
LAYER = 2


def sentences(n, seed):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(LETTERS), size=rng.integers(10, 40))) for _ in range(n)]


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


@pytest.fixture(scope="module")
def dictionary(model):
    stream = ActivationStream(model, sentences(60, 0), [LAYER])
    x = torch.cat([chunk.activations[LAYER] for chunk in stream.chunks()])
    cal = epkit.calibrate(x, [5], device="cpu")
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[5], device="cpu")
    return part.partial_fit(x).dictionary(layer=LAYER)


@pytest.fixture(scope="module")
def monitor(model, dictionary):
    return OODMonitor.fit(dictionary, model, sentences(90, 1), layer=LAYER, false_alarm=0.1)


def test_it_passes_text_of_the_kind_and_flags_another(monitor):
    fresh = [monitor.check(text).flagged for text in sentences(60, 2)]
    n = len(monitor.rule.scores)
    assert n == 90 - 90 // 4
    assert sum(fresh) <= binom(60, 0.2).ppf(0.999)
    strange = [UniformTokens(i, 30) for i in range(10)]
    assert np.mean([monitor.check(text).flagged for text in strange]) > 0.6


def test_a_verdict_names_the_farthest_tokens(model, dictionary, monitor):
    text = "the rain ZQ7 and then"
    verdict = monitor.check(text, worst=4)
    (chunk,) = ActivationStream(model, [text], [LAYER]).chunks()
    distance = dictionary.assign(chunk.activations[LAYER])[1]
    assert verdict.n_tokens == len(text)
    assert verdict.score == pytest.approx(monitor.rule.score(distance))
    assert verdict.flagged == (verdict.score > monitor.rule.threshold)
    assert verdict.p_value == monitor.rule.p_value(verdict.score)
    order = distance.argsort(descending=True)[:4].tolist()
    assert [token.position for token in verdict.tokens] == order
    for token in verdict.tokens:
        i = token.position
        assert token.distance == pytest.approx(float(distance[i]))
        assert token.text == text[i]
        assert token.context == f"{text[max(i - 6, 0) : i]}⟦{text[i]}⟧{text[i + 1 : i + 7]}"
    assert verdict.tokens[0].context in str(verdict)
    assert str(verdict).startswith("FLAGGED" if verdict.flagged else "passed")


def test_a_text_longer_than_the_context_is_read_whole(model, dictionary):
    monitor = OODMonitor.fit(
        dictionary, model, sentences(20, 1), layer=LAYER, false_alarm=0.1, context=9
    )
    assert monitor.check("a rather long text, in windows", worst=99).n_tokens == 30
    assert len(monitor.check("short").tokens) == 5
    assert monitor.check("x").n_tokens == 1


def test_a_score_does_not_depend_on_what_else_is_read(model, dictionary, monitor):
    texts = sentences(90, 1)
    alone = sorted(monitor.check(text).score for text in texts[22:])
    assert monitor.rule.scores.tolist() == pytest.approx(alone, abs=1e-4)


def test_a_tokenizer_without_bos(dictionary):
    model = tiny_llama(tiny_tokenizer(bos=False))
    monitor = OODMonitor.fit(dictionary, model, sentences(12, 1), layer=LAYER, false_alarm=0.3)
    assert monitor.check("tea").n_tokens == 3


def test_bad_input_gets_one_sentence(model, dictionary, monitor):
    with pytest.raises(ValueError, match="the text is empty: there is no token to check"):
        monitor.check("")
    with pytest.raises(ValueError, match="text 2 of those to fit on holds no token"):
        OODMonitor.fit(dictionary, model, ["tea", "rain", "", *sentences(30, 0)], layer=LAYER)
    with pytest.raises(ValueError, match="needs at least 25 texts to fit on, got 3"):
        OODMonitor.fit(dictionary, model, sentences(3, 0), layer=LAYER)
    with pytest.raises(ValueError, match="is not of layer 1 of tiny-llama"):
        OODMonitor.fit(dictionary, model, sentences(30, 0), layer=1)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"model": "tiny"}, TypeError, "model must be what load_model"),
        ({"dictionary": 3}, TypeError, "dictionary must be a Dictionary, got int"),
        ({"texts": "one text"}, TypeError, "expected a list of documents, got one str"),
        ({"layer": 2.0}, TypeError, "layer must be a whole number, got float"),
        ({"layer": 7}, ValueError, "layer must be in 0 … 3"),
        ({"context": "9"}, TypeError, "context must be a whole number"),
        ({"false_alarm": "0.1"}, TypeError, "false_alarm must be a number"),
        ({"false_alarm": math.nan}, ValueError, "false_alarm must be a finite number"),
    ],
)
def test_arguments_get_one_sentence(model, dictionary, change, kind, words):
    given = {"dictionary": dictionary, "model": model, "texts": sentences(30, 0), "layer": LAYER}
    with pytest.raises(kind, match=words):
        OODMonitor.fit(**(given | change))


def test_what_is_checked_is_a_text(monitor):
    with pytest.raises(TypeError, match="the text is int"):
        monitor.check(3)
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        monitor.check("a\udc00b")
    with pytest.raises(TypeError, match="worst must be a whole number"):
        monitor.check("tea", worst=1.5)
