import pandas as pd
import pytest
from refusal_examples import findings


def changed(**cells):
    """Results with cells of the chosen direction changed."""
    results = findings().results.copy()
    for column, value in cells.items():
        results.loc["mean", column.replace("_", " ")] = value
    return results


def steered(*rows):
    columns = ["direction", "refused", "perplexity"]
    return pd.DataFrame([("mean, layer 9", *row) for row in rows], columns=columns)


def test_the_verdict_to_the_letter():
    assert findings().sentences() == [
        "Ablating the mean of one region (layer 9, p = 10, 83 members, blocks 4 to 12) takes "
        "held-out refusal of harmful prompts from 0.96 to 0.03 [0.01, 0.08], of benign ones from "
        "0.05 to 0.00.",
        "The text stays text: perplexity of benign answers 1.36 against 1.28, a ratio of 1.06.",
        "Answers to harmful prompts have perplexity 1.50, 1.36 times that of the refusals learnt "
        "by heart (1.10; within the limit of 1.5) and 0.62 times that of the untuned model's own "
        "answers (2.43).",
        "null region: harmful 0.98 (near no effect), benign 0.20, benign perplexity ratio 1.20, "
        "cosine with the difference of means -0.16.",
        "difference of means: harmful 0.02 (an effect), benign 0.00, benign perplexity ratio "
        "1.10, cosine with the difference of means 1.00.",
        "The null region has 23 members, the region 83: a weak match, and no better one exists "
        "here.",
        "Trial prompts, calibrated centre, region: harmful 0.00, perplexity of their answers 2.30 "
        "(chosen: 1.80).",
        "Over 2 stream orders refusal is left at 0.03, 0.09.",
        "The direction is necessary and sufficient: by ablation (at most 10 % left, benign "
        "perplexity within 1.5 times) and by steering (at least half of the benign prompts "
        "refused within 1.5 times).",
        "Published for Gemma-2-2B-it, layer 20 (another model, one that learnt refusal at "
        "length): .98 to .02 on the best seed, null region near 0, necessary but not sufficient.",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steered": steered((0.1, 1.2), (0.6, 1.9))}, "necessary, not sufficient"),
        ({"results": changed(harmful_refused=0.2)}, "sufficient, not necessary"),
        ({"results": changed(benign_perplexity_ratio=1.6)}, "sufficient, not necessary"),
        (
            {"results": changed(harmful_refused=0.2), "steered": steered((0.1, 1.2), (0.4, 1.2))},
            "neither necessary nor sufficient",
        ),
        (
            {"results": changed(benign_perplexity_ratio=1.6)},
            "The text suffers: perplexity of benign answers 1.36 against 1.28, a ratio of 1.60 "
            "(limit 1.5).",
        ),
        ({"results": changed(harmful_perplexity=2.0)}, "above the limit of 1.5"),
        ({"sizes": pd.DataFrame({"members": [40.0, 20.0]})}, "a match in size."),
        ({"planted": False}, "the refusals themselves (1.10"),
        ({"planted": False}, "layer 20: .98"),
    ],
)
def test_the_wording_follows_the_numbers(given, said):
    assert said in "\n".join(findings(**given).sentences())


def test_without_a_region_from_the_calibrated_centre_nothing_is_said_of_it():
    few = findings().others.drop(index="calibrated centre, region")
    assert not [s for s in findings(others=few).sentences() if "calibrated" in s]
