"""The sentences follow the numbers."""

import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.base_vs_tuned.matched import FLOOR, TUNED
from epkit.studies.base_vs_tuned.rows import END, REFUSED, WEB
from epkit.studies.base_vs_tuned.sought import Choice, Sought
from epkit.studies.base_vs_tuned.verdict import MembershipFindings


def one(rank, n=100):
    return Sought(7, 40, 0.8, rank, n, rank / n, 0.5, 0.2)


def table(own=1, other=60):
    rows = []
    for taught in ("refusal", "closing"):
        for habit in ("refusal", "closing"):
            for half in "AB":
                found = one(own if taught == habit else other)
                rows.append({"taught": taught, "looked for": habit, "half": half} | found._asdict())
    return pd.DataFrame(rows)


def findings(sought=None, random=None, persisted=0.30, embedded=True):
    matched = pd.DataFrame({
        "median cosine": {FLOOR: Interval(0.51, 0.5, 0.52), TUNED: Interval(0.5, 0.49, 0.51)},
        "persisted ≥ .7": {FLOOR: Interval(0.3, 0.29, 0.31), TUNED: Interval(persisted, 0.2, 0.4)},
    })  # fmt: skip
    moved = {"refusal": [0.004, 0.1, 0.02], "closing": [0.003, 0.05, 0.2]}
    return MembershipFindings(
        Choice(20, 2.0, "displacement"), table() if sought is None else sought,
        random or [table(), table(own=20)],
        pd.DataFrame(moved, index=[WEB, REFUSED, END]), {"refusal": REFUSED, "closing": END},
        matched, embedded,
    ).sentences()  # fmt: skip


def test_the_verdict_to_the_letter():
    assert findings() == [
        "Chosen on half A of the first habit: layer 20, p 2, displacement. Median distance of the "
        "same token in base and tuned: taught refusal, 0.100 where it acts, 0.0040 on web text; "
        "taught closing, 0.200 where it acts, 0.0030 on web text.",
        *(
            f"Taught {name}, half B: the region that holds most of its place (40 members, 80% of "
            "them there) is 1 of 100 (p 0.010, 0.010 at least): found."
            for name in ("refusal", "closing")
        ),
        "Taught refusal, the region of closing: 60 of 100 (p 0.600), not called changed; its place "
        "moved 0.020 here, 0.200 where that habit was taught.",
        "Taught closing, the region of refusal: 60 of 100 (p 0.600), not called changed; its place "
        "moved 0.050 here, 0.100 where that habit was taught.",
        "0 of 2 regions of a habit that was not taught are among the highest twentieth: what moved "
        "is what was taught.",
        "Random exemplars at equal K: refusal found in 1 of 2 draws (p 0.010 to 0.200; EP 0.010); "
        "closing found in 1 of 2 draws (p 0.010 to 0.200; EP 0.010).",
        "The published match of exemplars, web text, two stream orders: 30% of regions persist "
        "between base and tuned, 30% between base and base (median cosine 0.50 and 0.51): what "
        "the fine-tune did cannot be told from what order does.",
        "Published for Gemma-2-2B against -it (another model, far more tuning, one order each, no "
        "floor): layer 12, p 10, 15 of 203 and 145 regions persisted at .7; layer 20, 5.",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sought": table(own=6)}, "not found; it would have taken 0.200, it has 0.500."),
        ({"sought": table(other=2)}, "which calls it changed: a false alarm; its place moved"),
        ({"sought": table(other=2)}, "displacement shows where a fine-tune acted, not what it"),
        ({"persisted": 0.1}, "the fine-tune costs more than order does."),
        ({"embedded": False}, "against -it (one order each"),
    ],
)
def test_the_wording_follows_the_numbers(given, said):
    assert said in "\n".join(findings(**given))


def test_a_habit_that_no_model_was_taught_is_looked_for_all_the_same():
    alone = table()[lambda t: t.taught == "refusal"]
    moved = pd.DataFrame({"refusal": [0.004, 0.1, 0.02]}, index=[WEB, REFUSED, END])
    with_one = MembershipFindings(
        Choice(20, 2.0, "displacement"), alone, [alone], moved,
        {"refusal": REFUSED, "closing": END}, pd.DataFrame(), True,
    )  # fmt: skip
    assert with_one._other(alone.iloc[-1]) == (
        "Taught refusal, the region of closing: 60 of 100 (p 0.600), not called changed."
    )
