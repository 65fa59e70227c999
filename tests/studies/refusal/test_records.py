import numpy as np
from refusal_examples import controls, results

from epkit.studies.refusal import records

RATES = {"no edit": np.array([0.75]), "region": np.array([0.25])}


def test_results_are_read_as_they_were_written(tmp_path):
    brief = records.brief_results(results(), controls(), RATES)
    assert brief.loc["region, mean", "harmful refused"] == "0.05 [0.00, 0.10]"
    assert brief.loc["20 null regions", "harmful refused"] == (
        "0.60 [0.50, 0.70], 0 as low as the region"
    )
    assert brief.loc["region, the controls' prompts", "harmful refused"] == "0.25"
    brief.to_csv(records.record_path(tmp_path, "some/model"))
    (found,) = records.recorded(tmp_path, "other").items()
    assert found[0] == "model"
    assert found[1].equals(brief)
    assert records.recorded(tmp_path, "some/model") == {}
