import pytest
from refusal_examples import controls, findings, results, steered


def test_the_verdict_to_the_letter():
    assert findings().sentences() == [
        "Held-out, label-free centre: without the mean of one region (layer 9, p 10, 33 members, "
        "blocks 4 to 12) harmful prompts are refused 0.05 [0.00, 0.10], with it 0.70 [0.65, 0.75]; "
        "benign ones 0.00 [0.00, 0.05] and 0.10 [0.05, 0.15]. Benign answers have 1.20 [1.15, "
        "1.25] times their perplexity (within the limit of 1.5).",
        "On 12 of these prompts the region leaves 0.00 of 0.75; 0 of 20 null regions leave as "
        "little (median 0.60, lowest 0.50; p 0.048, 0.048 at least), 0 of 20 random directions "
        "leave as little (median 0.60, lowest 0.50; p 0.048, 0.048 at least). EP's region is "
        "specific: neither other regions nor random directions do what it does.",
        "Harmful prompts refused after other edits: centroid-span swap 0.40 [0.35, 0.45]. The "
        "region's mean has cosine 0.61 with the difference of means.",
        "Steering benign prompts, α chosen on build prompts: refused no edit 0.10 [0.05, 0.15], "
        "region 0.60 [0.55, 0.65] (α 0.2, perplexity 1.20 times), random direction 0.10 [0.05, "
        "0.15] (α 0.4, perplexity 1.10 times).",
        "By the stated limits (at most 10% left; half of the benign prompts refused; perplexity "
        "within 1.5 times) the region's direction is necessary and sufficient.",
        "Published for Gemma-2-2B-it, layer 20 (another model): .98 to .02 on the best seed, one "
        "null region near no effect; centroid-span swap at layer 14: compliance .88, random span "
        "0.",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"controls": controls(null=0.3)}, "EP shows no specificity among its own regions"),
        ({"controls": controls(random=0.3)}, "It differs from other regions, and not from random"),
        ({"controls": controls(0.3, 0.3)}, "No specificity is shown."),
        ({"steered": steered(refused=0.4)}, "necessary, not sufficient"),
        ({"steered": steered(ratio=1.6)}, "necessary, not sufficient"),
        ({"results": results(harmful_refused=0.2)}, "sufficient, not necessary"),
        ({"results": results(benign_ratio=1.6)}, "sufficient, not necessary"),
        ({"results": results(benign_ratio=1.6)}, "above the limit of 1.5"),
        (
            {"results": results(harmful_refused=0.2), "steered": steered(refused=0.4)},
            "neither necessary nor sufficient",
        ),
        ({"planted": True}, "(another model, one that learnt refusal at length)"),
    ],
)
def test_the_wording_follows_the_numbers(given, said):
    assert said in "\n".join(findings(**given).sentences())


def test_what_does_not_move_is_not_necessary():
    same = findings(results=results(harmful_refused=0.66))
    assert not same.moves
    assert not same.necessary
