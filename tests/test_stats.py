"""Statistics against closed forms, against what they promise in repeated samples, by hand."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from epkit.stats import (
    Interval,
    auroc,
    bootstrap_clusters,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_pairs,
    bootstrap_ratio,
    jackknife,
    least_detectable,
    minimum_detectable,
    poisson_interval,
    proportion,
    rank_correlation,
    rank_test,
    t_interval,
    wins,
)

NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def covered(truth, draw, n=150):
    """Share of n intervals from `draw(rng)` that hold the truth."""
    rng = np.random.default_rng(0)
    found = [draw(rng) for _ in range(n)]
    return np.mean([i.low <= truth <= i.high for i in found])


def test_interval_prints_short():
    assert str(Interval(0.93751, 0.9, 0.9752)) == "0.938 [0.900, 0.975]"


# ---- means --------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[2.0], [0.1] * 7, np.ones(3, dtype=bool), torch.zeros(4)])
def test_values_that_do_not_differ_give_a_point(values):
    v = float(values[0])
    expected = pytest.approx((v, v, v))
    n = len(values)
    assert bootstrap_mean(values) == expected
    assert bootstrap_clusters(values, np.arange(n)) == expected
    assert bootstrap_ratio(values, np.ones(n)) == expected
    assert bootstrap_difference(values, values) == (0, 0, 0)
    assert bootstrap_difference(values, [0.0], paired=False) == expected
    assert bootstrap_pairs(np.full((n, 2), v)) == expected
    if n > 1:
        assert t_interval(values) == expected
        assert t_interval(values, [0.0, 0.0]) == expected
    low, high = bootstrap_mean(values)[1:]
    assert low == high


@settings(max_examples=30, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_changes_no_value_and_limits_hold_it(values, random):
    shuffled = random.sample(values, len(values))
    found = bootstrap_mean(values, draws=200)
    assert bootstrap_mean(shuffled, draws=200).value == pytest.approx(found.value, abs=1e-6)
    assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, pd.Series])
def test_the_kind_of_sequence_does_not_matter(kind):
    a, b = [1.0, 2.0, 4.0, 7.0], [2.0, 1.0, 3.0, 3.0]
    assert bootstrap_mean(kind(a)) == bootstrap_mean(a)
    assert bootstrap_difference(kind(a), kind(b)) == bootstrap_difference(a, b)
    assert rank_correlation(kind(a), kind(b)) == rank_correlation(a, b)
    assert t_interval(kind(a), kind(b)) == t_interval(a, b)


def test_bootstrap_agrees_with_the_normal_interval():
    values = np.random.default_rng(1).normal(3, 2, size=400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), 0.01)
    narrower = bootstrap_mean(values, level=0.5)
    half = 0.6745 * values.std() / 20
    assert narrower.high == pytest.approx(found.value + half, 0.01)


def test_bootstrap_is_seeded_whatever_ran_before():
    values = np.random.default_rng(2).normal(size=30)
    first = bootstrap_mean(values)
    np.random.rand(3)
    assert bootstrap_mean(values) == first
    assert bootstrap_mean(values, seed=1) != first


@pytest.mark.parametrize(
    ("truth", "draw"),
    [
        (0, lambda rng: bootstrap_mean(rng.normal(size=40), draws=400)),
        (1, lambda rng: bootstrap_difference(
            rng.normal(1, 1, 40), rng.normal(0, 2, 60), paired=False, draws=400)),
        (1, lambda rng: t_interval(rng.normal(1, 1, 5), rng.normal(0, 2, 5))),
        (0.2, lambda rng: proportion(rng.random(50) < 0.2)),
        (7, lambda rng: poisson_interval(rng.poisson(7))),
    ],
)  # fmt: skip
def test_intervals_cover_as_often_as_they_say(truth, draw):
    assert 0.9 <= covered(truth, draw) <= 0.995


def test_paired_difference_cancels_what_units_share():
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 5, size=50)
    a, b = shared + 0.5 + rng.normal(0, 0.1, 50), shared + rng.normal(0, 0.1, 50)
    paired, groups = bootstrap_difference(a, b), bootstrap_difference(a, b, paired=False)
    assert 0.4 < paired.low < paired.high < 0.6
    assert paired.value == pytest.approx(groups.value)
    assert groups.low < 0 < groups.high


def test_unpaired_difference_of_shares_has_the_normal_width():
    found = bootstrap_difference([1] * 60 + [0] * 40, [1] * 30 + [0] * 70, paired=False)
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100 + 0.3 * 0.7 / 100)
    assert found == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=0.015)


def test_student_intervals_agree_with_scipy():
    reach = stats.t.ppf(0.975, 2) / np.sqrt(3)
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - reach, 2 + reach))
    a, b = [1.0, 2.0, 3.5, 2.0], [0.0, 4.0, 1.0]
    limits = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    assert t_interval(a, b, level=0.9)[1:] == pytest.approx((limits.low, limits.high))


# ---- over documents -----------------------------------------------------------------------------


def test_clusters_of_one_are_single_values():
    values = np.random.default_rng(4).normal(size=40)
    found, plain = bootstrap_clusters(values, np.arange(40)), bootstrap_mean(values)
    assert found == pytest.approx(plain, abs=0.02)


def test_clusters_are_resampled_as_a_whole():
    rng = np.random.default_rng(5)
    documents = np.repeat(np.arange(40), 25)
    values = rng.normal(size=40)[documents] + 0.1 * rng.normal(size=1000)
    found, wrong = bootstrap_clusters(values, documents), bootstrap_mean(values)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low > 3 * (wrong.high - wrong.low)
    order = rng.permutation(1000)
    moved = bootstrap_clusters(values[order], documents[order])
    assert moved == pytest.approx(found, abs=1e-9)


def test_clusters_cover_as_often_as_they_say():
    documents = np.repeat(np.arange(40), np.arange(1, 41) % 7 + 1)  # of unequal lengths

    def draw(rng):
        values = rng.normal(size=40)[documents] + rng.normal(size=len(documents))
        return bootstrap_clusters(values, documents, draws=400)

    assert 0.88 <= covered(0, draw) <= 0.99


def test_ratio_by_hand_and_paired():
    found = bootstrap_ratio([0.6, 0.8], [0.8, 0.8])
    assert found == pytest.approx((0.875, 0.75, 1))
    same = bootstrap_ratio([0.6, 0.7, 0.9], [0.6, 0.7, 0.9])
    assert same == pytest.approx((1, 1, 1))


def test_ratio_has_no_limits_where_it_may_be_unbounded():
    value, low, high = bootstrap_ratio([0.0, 0.1], [0.0, 0.2])
    assert value == pytest.approx(0.5)
    assert np.isnan([low, high]).all()
    with pytest.raises(ValueError, match="positive sum below"):
        bootstrap_ratio([1.0, 1.0], [0.0, 0.0])


def texts_of(rng, n, tokens, shift):
    """(n, tokens): a shift, an effect of the text, an effect of the token; variance 1 in all."""
    text = rng.normal(0, math.sqrt(0.3), size=(n, 1))
    return shift + text + rng.normal(0, math.sqrt(0.7), size=(n, tokens))


def test_wins_by_hand():
    found = wins(torch.tensor([[1.0, 3.0], [2.0, 2.0]]), torch.tensor([[0.0, 2.0], [5.0, 2.0]]))
    # against (0, 2): 1 beats one of two and 3 both; 2 beats 0 and ties with 2
    assert found.tolist() == [[0.75, 0.25], [0.75, 0.25]]


def test_the_mean_of_wins_is_the_auroc():
    rng = np.random.default_rng(1)
    scores, reference = rng.integers(0, 30, (7, 11)), rng.integers(0, 25, (5, 11))
    truth = np.r_[np.ones(77), np.zeros(55)]
    expected = roc_auc_score(truth, np.r_[scores.ravel(), reference.ravel()])
    found = wins(scores, reference)
    assert found.shape == (7, 5)
    assert found.mean() == pytest.approx(expected)
    order = rng.permutation(7)
    assert (wins(scores[order], reference) == found[order]).all()
    assert (wins(torch.tensor(scores).bfloat16(), torch.tensor(reference)) == found).all()


def test_pairs_cover_the_auroc_of_dependent_tokens():
    def draw(rng):
        a, b = texts_of(rng, 30, 12, 0.5), texts_of(rng, 30, 12, 0)
        return bootstrap_pairs(wins(a, b), draws=400)

    assert 0.88 <= covered(stats.norm.cdf(0.5 / math.sqrt(2)), draw) <= 0.99


def test_tokens_of_a_text_do_not_count_as_independent():
    rng = np.random.default_rng(3)
    a, b = texts_of(rng, 30, 40, 0.5), texts_of(rng, 30, 40, 0)
    by_text = bootstrap_pairs(wins(a, b))
    by_token = bootstrap_pairs(wins(a.reshape(-1, 1), b.reshape(-1, 1)), draws=300)
    assert by_text.value == pytest.approx(by_token.value)
    assert by_text.high - by_text.low > 2 * (by_token.high - by_token.low)


def test_a_paired_difference_cancels_what_texts_share():
    rng = np.random.default_rng(4)
    a, b = texts_of(rng, 40, 10, 0.5), texts_of(rng, 40, 10, 0)
    difference = bootstrap_pairs(wins(a + 0.1, b) - wins(a, b))
    assert 0 < difference.low < difference.high < 0.08


def test_arrays_that_share_reference_texts_are_averaged():
    a, b = torch.full((4, 3), 0.75), np.full((9, 3), 0.25)
    assert bootstrap_pairs([a, b]) == (0.5, 0.5, 0.5)
    assert bootstrap_pairs(torch.ones(48, 48)) == (1, 1, 1)
    rng = np.random.default_rng(5)
    one, two = rng.random((4, 3)), rng.random((9, 3))
    found = bootstrap_pairs([one, two])
    assert found.value == pytest.approx((one.mean() + two.mean()) / 2)
    assert found == bootstrap_pairs([one, two])
    assert found.low < found.value < found.high


# ---- shares, counts, ranks ----------------------------------------------------------------------


def test_proportion_by_hand():
    # Newcombe 1998, method 3: (2np + z² ± z √(z² + 4npq)) / 2(n + z²)
    assert proportion([True] * 2 + [False] * 18) == pytest.approx((0.1, 0.0279, 0.3010), abs=1e-4)
    assert proportion(x > 8 for x in range(10)).value == 0.1
    assert proportion(torch.zeros(10, dtype=torch.bool)).low == 0
    wide = proportion([True] * 10, method="exact")
    assert wide == pytest.approx((1, 0.025 ** (1 / 10), 1))


def test_poisson_interval_is_that_of_the_tables():
    assert poisson_interval(0) == pytest.approx((0, 0, -math.log(0.025)))
    low, high = poisson_interval(10)[1:]
    assert stats.poisson.sf(9, low) == pytest.approx(0.025)
    assert stats.poisson.cdf(10, high) == pytest.approx(0.025)


def test_rank_correlation():
    x = np.arange(40)
    assert rank_correlation(x, x**3, draws=50) == pytest.approx((1, 1, 1))
    noisy = x + np.random.default_rng(0).normal(0, 20, 40)
    found = rank_correlation(x, noisy)
    assert -1 < found.low < found.value < found.high < 1
    assert found.value == pytest.approx(stats.spearmanr(x, noisy).statistic)
    assert rank_correlation(np.exp(x), noisy) == pytest.approx(found)
    shuffled = rank_correlation(x, np.random.default_rng(1).permutation(x))
    assert shuffled.low < 0 < shuffled.high


def test_rank_correlation_of_few_pairs_with_ties():
    value, low, high = rank_correlation([0, 0, 1], [1, 2, 3])  # some resamples are constant
    assert value == pytest.approx(stats.spearmanr([0, 0, 1], [1, 2, 3]).statistic)
    assert -1 <= low <= value <= high <= 1 + 1e-12


def test_auroc_by_hand():
    # positives 3, 2; negatives 2, 0: of four pairs three are won and one is a tie
    scores = np.array([[3.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    assert auroc(scores, [True, True, False, False]).tolist() == [0.875, 0.0]
    assert auroc(torch.tensor(scores[:, 0]), torch.tensor([1, 1, 0, 0])) == 0.875


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6))
def test_auroc_is_that_of_scikit_learn(n, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, size=(n, 5)).astype(float)
    labels = rng.permutation(np.arange(n) < rng.integers(1, n))
    expected = [roc_auc_score(labels, column) for column in scores.T]
    np.testing.assert_allclose(auroc(scores, labels), expected, atol=1e-12)
    order = rng.permutation(n)
    np.testing.assert_allclose(auroc(scores[order], labels[order]), expected, atol=1e-12)


def test_ranks_count_ties_against_the_region():
    scores = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.2])
    assert rank_test(scores, 1) == (1, 5, 0.2)
    assert rank_test(scores, np.int64(2)) == (3, 5, 0.6)
    assert rank_test(scores, 2, torch.tensor([0, 2, 4])) == (1, 3, pytest.approx(1 / 3))
    assert rank_test(scores, 2, np.array([1, 0, 0, 0, 1], dtype=bool)) == (1, 3, 1 / 3)
    assert str(rank_test(scores, 1)) == "1 of 5 (p = 0.2)"


def test_ranks_by_chance_are_uniform():
    scores = torch.rand(200, generator=torch.Generator().manual_seed(0))
    p = np.array([rank_test(scores, region).p for region in range(200)])
    assert np.allclose(np.sort(p), np.arange(1, 201) / 200)


# ---- power --------------------------------------------------------------------------------------


def test_the_minimum_detectable_effect_is_shown_as_often_as_it_says():
    rng = np.random.default_rng(6)
    effect = minimum_detectable(Interval(0, -1.96 / 10, 1.96 / 10))  # of 100 units, deviation 1
    assert effect == pytest.approx(0.2802, abs=1e-3)
    shown = [t_interval(rng.normal(effect, 1, 100)).low > 0 for _ in range(2000)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.03)


def test_the_minimum_detectable_effect_follows_level_power_and_width():
    tenth = Interval(5, 4.9, 5.1)
    assert minimum_detectable(tenth, power=0.5) == pytest.approx(0.1)
    assert minimum_detectable(tenth, power=0.9) > minimum_detectable(tenth)
    assert minimum_detectable(tenth, level=0.99) < minimum_detectable(tenth)
    assert math.isnan(minimum_detectable(Interval(1, 1, 1)))


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0]], [math.inf], 3.0])
@pytest.mark.parametrize("of", [bootstrap_mean, t_interval])
def test_what_has_no_mean_is_refused(of, values):
    with pytest.raises(ValueError, match=r"finite values \(n,\)"):
        of(values)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bootstrap_mean([1.0, 2.0], level=95), r"level must .* in \(0, 1\), got 95"),
        (lambda: bootstrap_mean([1.0, 2.0], draws=3), "draws must be at least 20"),
        (lambda: bootstrap_difference([1.0], [1.0, 2.0]), "equal lengths, got 1 and 2"),
        (lambda: bootstrap_clusters([1.0], [1, 2]), "equal lengths, got 1 and 2"),
        (lambda: bootstrap_ratio([1.0], []), "equal lengths, got 1 and 0"),
        (lambda: bootstrap_pairs([np.ones((2, 3)), np.ones((2, 2))]), "one V for all"),
        (lambda: bootstrap_pairs([]), "one V for all"),
        (lambda: bootstrap_pairs(np.full((2, 2), np.nan)), "4 not finite"),
        (lambda: t_interval([1.0], [1.0, 2.0]), "at least two values on each side, got 1"),
        (lambda: proportion([]), "finite values"),
        (lambda: proportion([True], method="wald"), "wilson, exact, got 'wald'"),
        (lambda: poisson_interval(-1), "count must be at least 0"),
        (lambda: rank_correlation([1, 2], [1, 2]), "at least three pairs"),
        (lambda: rank_correlation([1, 2, 3], [1, 1, 1]), "constant on neither side"),
        (lambda: auroc(np.ones((4, 1)), [1, 1, 1, 1]), "both classes, got 4 positives of 4"),
        (lambda: auroc(np.ones((4, 1)), [1, 0]), "2 rows"),
        (lambda: auroc([np.nan, 1.0], [1, 0]), "without nan"),
        (lambda: rank_test([1.0, 2.0], 2), "region must be in 0 … 1"),
        (lambda: minimum_detectable(Interval(0, -1, 1), power=1.0), "power must be"),
    ],
)
def test_errors_are_one_sentence(call, said):
    with pytest.raises(ValueError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_interval_is_written_in_the_format_of_its_numbers():
    interval = Interval(0.5, 0.25, 0.75)
    assert str(interval) == f"{interval}" == "0.500 [0.250, 0.750]"
    assert f"{interval:.0%}" == "50% [25%, 75%]"
    assert f"{interval:+.2f}" == "+0.50 [+0.25, +0.75]"


def test_the_jackknife_of_a_mean_is_the_t_interval():
    x = np.random.default_rng(0).normal(size=10)
    left_out = (x.sum() - x) / 9
    found = jackknife(x.mean(), left_out)
    reach = 2.2621571628 * x.std(ddof=1) / np.sqrt(10)
    assert found == Interval(*(pytest.approx(x.mean() + s * reach) for s in (0, -1, 1)))


def test_a_side_is_where_the_whole_interval_is():
    words = ("above", "below", "neither")
    assert Interval(2, 1, 3).side(*words) == "above"
    assert Interval(-2, -3, -1).side(*words) == "below"
    for low, high in ((-1, 1), (0, 1), (-1, 0), (0, 0)):
        assert Interval(0, low, high).side(*words) == "neither"


def test_what_could_have_been_shown_as_text():
    wide = Interval(0, -1, 1)
    assert least_detectable(wide, "{:.3f}") == f"{minimum_detectable(wide):.3f}"
    assert least_detectable(Interval(0, 0, 0), "{:.3f}") == ""
    assert least_detectable(Interval(0, 0, 0), "{:.3f}", "no spread") == "no spread"
