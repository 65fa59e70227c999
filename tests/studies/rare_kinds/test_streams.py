import pytest
import torch

from epkit.studies.rare_kinds.streams import mixture

OPTIONS = {"n": 300, "prevalence": 0.04, "passage": 5, "seed": 1}


def test_a_stream_has_every_kind_at_its_prevalence(web, kinds):
    made = mixture(*web, kinds, **OPTIONS)
    assert made.names == tuple(kinds)
    assert made.x.shape == (300, 16)
    assert [(made.kind == i).sum().item() for i in range(3)] == [12, 12, 12]
    assert (made.kind == -1).sum() == 264


def test_rows_are_labelled_by_where_they_come_from(web, kinds):
    made = mixture(*web, kinds, **OPTIONS)
    for i, kind in enumerate(kinds.values()):
        assert (made.x[made.kind == i][:, None] == kind.planted).all(2).any(1).all()
    assert (made.x[made.kind == -1][:, None] == web[0]).all(2).any(1).all()
    assert len(made.x.unique(dim=0)) == 300  # nothing is taken twice


def places(x, among):
    return (x[:, None] == among).all(2).int().argmax(1)


def test_passages_and_documents_stay_whole_and_in_order(web, kinds):
    made = mixture(*web, kinds, **OPTIONS)
    at = places(made.x[made.kind == 0], kinds["far"].planted)
    assert ((at[:5].diff() == 1).sum() + (at[5:].diff() == 1).sum()) >= 8
    passage = at // 5
    runs = passage.unique_consecutive()
    assert len(runs) == len(runs.unique()) == 3  # two whole ones and a part
    document = web[1][places(made.x[made.kind == -1], web[0])]
    runs = document.unique_consecutive()
    assert len(runs) == len(runs.unique())


def test_the_seed_decides_documents_passages_and_order(web, kinds):
    one, same = (mixture(*web, kinds, **OPTIONS) for _ in range(2))
    assert torch.equal(one.x, same.x)
    assert torch.equal(one.kind, same.kind)
    assert not torch.equal(one.x, mixture(*web, kinds, **OPTIONS | {"seed": 2}).x)


def test_at_least_one_of_a_kind_is_planted(web, kinds):
    made = mixture(*web, kinds, **OPTIONS | {"prevalence": 1e-6})
    assert (made.kind >= 0).sum() == 3


def test_what_there_is_not_is_refused(web, kinds):
    with pytest.raises(ValueError, match="needs 1,464 web activations, there are 1,300"):
        mixture(*web, kinds, **OPTIONS | {"n": 1500, "prevalence": 0.008})
    with pytest.raises(ValueError, match="90 activations of far are wanted, there are 60"):
        mixture(*web, kinds, **OPTIONS | {"prevalence": 0.3})
