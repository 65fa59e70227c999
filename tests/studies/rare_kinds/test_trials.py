import pytest

from epkit.studies.rare_kinds import readers
from epkit.studies.rare_kinds.kinds import NO_KIND, Kind
from epkit.studies.rare_kinds.trials import Setting, run_trials
from epkit.studies.rare_kinds.unlike import RULES

SETTING = Setting(n=400, passage=5, rounds=2, sae_k=3, sae_epochs=0, sae_percentile=10)


def trials(web, kinds, heldout, **options):
    arguments = {"prevalences": [3, 5], "percentiles": [10, 30], "seeds": [0, 1]}
    return run_trials(*web, kinds, heldout, **arguments | {"setting": SETTING} | options)


def test_a_row_a_stream_percentile_reader_and_kind(web, kinds, heldout):
    rows = trials(web, kinds, heldout)
    assert len(rows) == 2 * 2 * 2 * 5 * 3
    assert rows.groupby(["prevalence", "seed", "p"]).K.nunique().max() == 1
    assert set(rows[rows.prevalence == 3].planted) == {12}
    assert rows.recall.between(0, 1).all()
    assert rows.false_share.between(0, 1).all()
    assert (rows.recall[rows.regions == 0] == 0).all()
    assert (rows.readable <= rows.K).all()
    for rule in RULES:
        read = rows[f"read: {rule}"]
        assert (read.between(1, rows.readable + 1)).all()
        assert ((read == rows.readable + 1) == (rows.regions == 0)).all()


def test_a_kind_far_from_the_web_is_found_and_held_and_read_first(web, kinds, heldout):
    rows = trials(web, kinds, heldout, percentiles=[10])
    far = rows[(rows.kind == "far") & (rows.method == readers.EP)]
    assert (far.regions > 0).all()
    assert (far.recall > 0.9).all()
    assert (far.false_share == 0).all()
    assert (far["read: far from all activations"] == 1).all()
    none = rows[(rows.kind == NO_KIND) & (rows.method == readers.EP)]
    assert none.recall.mean() < 0.2


def test_an_sae_stands_at_one_percentile_and_is_not_ranked(web, kinds, heldout):
    setting = Setting(**vars(SETTING) | {"n": 1200, "sae_epochs": 1})
    rows = trials(web, kinds, heldout, setting=setting, prevalences=[1], seeds=[0])
    sae = rows[rows.method.isin([readers.SAE_LARGEST, readers.SAE_ACTIVE])]
    assert len(sae) == 2 * 3
    assert set(sae.p) == {10}
    assert sae["read: few members"].isna().all()


@pytest.mark.slow
def test_far_trials_are_those_that_are_near(web, kinds, heldout, far):
    options = {"prevalences": [3], "percentiles": [10], "seeds": [0]}
    there = {
        name: Kind(k.planted.to(far), k.document, k.heldout.to(far)) for name, k in kinds.items()
    }
    rows = run_trials(web[0].to(far), web[1], there, heldout.to(far), setting=SETTING, **options)
    assert (rows.recall[(rows.kind == "far") & (rows.method == readers.EP)] > 0.9).all()
