import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.ood.alarms import FreshAlarms
from epkit.studies.ood.readings import EP, RANDOM
from epkit.studies.ood.separation import MEAN
from epkit.studies.ood.verdict import OODFindings, says

MORE, LESS, OPEN = (Interval(v, v - 0.02, v + 0.02) for v in (0.05, -0.05, 0.01))


def findings(**given):
    corpora = ["bulgarian", "code"]
    methods = [
        {"method": method, "corpus": name} | dict.fromkeys(("token", "text"), Interval(v, 0, 1))
        for name, v in zip(corpora, (0.55, 0.78), strict=True)
        for method in (EP, RANDOM)
    ]  # fmt: skip
    minus = {
        "token": pd.DataFrame({name: {RANDOM: OPEN, "norm": MORE} for name in (*corpora, MEAN)}),
        "text": pd.DataFrame({name: {RANDOM: LESS, "norm": MORE} for name in (*corpora, MEAN)}),
    }
    against = pd.DataFrame({1: {2: MORE, 7: MORE}, 4: {2: LESS, 7: OPEN}})
    strict = against.map(lambda c: Interval(c.value, c.low - 0.04, c.high + 0.01))
    columns = ["as built", "with them", "with them, random exemplars"]
    cells = Interval(0.9, 0.8, 1), Interval(0.55, 0.4, 0.7), Interval(0.6, 0.4, 0.7)
    rows = [(name, level) for name in corpora for level in ("token", "text")]
    cyrillic = pd.DataFrame({row: dict(zip(columns, cells, strict=True)) for row in rows})
    caught = {"8 tokens": dict.fromkeys(corpora, Interval(0.9, 0.8, 1))}
    caught["16 tokens"] = {"bulgarian": Interval(0.1, 0, 0.3), "code": Interval(0.96, 0.8, 1)}
    made = {
        "layer": 12, "p": 1, "corpora": corpora, "reference": "web",
        "methods": pd.DataFrame(methods), "minus": minus, "against": {"token": against},
        "strict": {"token": strict}, "cyrillic": cyrillic.T, "left_out": (1, 541),
        "published": pd.DataFrame({"claim": ["it is"], "published": ["yes"], "here": ["2 of 3"]}),
        "caught": pd.DataFrame(caught),
        "alarms": FreshAlarms(4, 120, Interval(4 / 120, 0.009, 0.083), 1, 14), "asked": 0.05,
        "text_tokens": 16,
    }  # fmt: skip
    return OODFindings(**made | given)


def test_the_verdict_to_the_letter():
    assert findings().sentences() == [
        "Layer 12, p = 1, AUROC of tokens (texts) against unseen web: bulgarian 0.55 (0.55), "
        "code 0.78 (0.78).",
        "  EP − random exemplars, equal K, mean over corpora: tokens +0.010 [-0.010, +0.030], EP "
        "is not shown to differ (detectable: 0.029); texts -0.050 [-0.070, -0.030], lower.",
        "  EP − norm, mean over corpora: tokens +0.050 [+0.030, +0.070], EP is higher; texts "
        "+0.050 [+0.030, +0.070], higher.",
        "Against random exemplars at equal K, tokens, 4 settings: EP higher in 2, lower in 1; "
        "allowing for their number (Bonferroni), higher in 0, lower in 1; median difference "
        "+0.030.",
        "Hardly ever flagged by the monitor: bulgarian.",
        "Aside: with the 1 Cyrillic document(s) of the corpus in the build (541 activations) "
        "Bulgarian goes from AUROC 0.90 to 0.55 over tokens and 0.90 to 0.55 over texts (random "
        "exemplars 0.60 and 0.60).",
        "  it is: published yes; here 2 of 3",
        "  (A later version of the paper no longer makes the claim.)",
        "The monitor, asked for 0.05, flags 4 of 120 fresh texts (0.033 [0.009, 0.083]) and, of "
        "texts of 16 tokens, bulgarian 10%, code 96%.",
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (MORE, "is higher than that of random exemplars at equal K: +0.050 [+0.030, +0.070]."),
        (LESS, "is lower than that of random exemplars at equal K: -0.050 [-0.070, -0.030]."),
        (OPEN, "is not shown to differ from that of random exemplars at equal K: +0.010"),
    ],
)
def test_the_answer(cell, said):
    given = findings(minus={"token": pd.DataFrame({MEAN: {RANDOM: cell}})}).answer()
    assert given.startswith(
        "Layer 12 (nearest to the published depth), p 1: AUROC of tokens of 2 strange "
    )
    assert said in given


def test_without_cyrillic_documents_nothing_is_said_of_them():
    for given in ({"left_out": (0, 0)}, {"corpora": ["code"]}):
        assert not [s for s in findings(**given).sentences() if "Cyrillic" in s]


def test_where_all_corpora_are_flagged_none_is_left():
    assert "Hardly ever flagged by the monitor: none." in findings(corpora=["code"]).sentences()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (MORE, "higher"),
        (LESS, "lower"),
        (OPEN, "not shown to differ"),
        (Interval(0, 0, 0), "not shown to differ"),
    ],
)
def test_a_difference_says_what_its_interval_shows(cell, said):
    assert says(cell) == said
