"""Examples of matches: groups by hand, seeded, each beside its match, contexts."""

import numpy as np
import torch
from plot_examples import partition
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.tables import context_line
from epkit.studies.sae_and_probes.equal_support import match_members, ranked_latents
from epkit.studies.sae_and_probes.examples import (
    context_reader,
    example_groups,
    match_examples,
)

X = torch.zeros(60, 2)
for column, first in enumerate((1, 26)):
    X[first : first + 9, column] = torch.arange(100, 91, -1).float()
LATENTS = ranked_latents(lambda rows: rows, X)
FEATURE = np.full(60, -1)
for number, first in enumerate((0, 20, 40, 50)):
    FEATURE[first : first + (9 if number < 3 else 3)] = number
OVERLAP = match_members(FEATURE, 4, LATENTS)


def test_groups_by_hand():
    groups = {kind: members.tolist() for kind, members in example_groups(OVERLAP).items()}
    # The last region is too small; the third shares no token with a latent.
    assert groups == {"matched": [0], "worst": [2]}


def test_examples_stand_beside_their_match():
    matched, worst = match_examples(OVERLAP, LATENTS, str).to_dict("records")
    assert (matched["region"], matched["latent"], round(matched["F1"], 3)) == (0, 0, 0.889)
    assert matched["members in context"] == ["0", "3", "6"]
    assert matched["latent's top tokens"] == ["1", "4", "7"]
    assert (worst["region"], worst["latent"], worst["F1"]) == (2, "—", 0)
    assert worst["latent's top tokens"] == []


def test_a_group_gives_no_more_than_asked_and_the_draw_is_seeded():
    x = torch.zeros(500, 40)
    given = torch.arange(500) % 40
    x[torch.arange(500), given] = 1
    ranked = ranked_latents(lambda rows: rows, x)
    overlap = match_members(given.numpy(), 40, ranked)
    first, again, other = (
        match_examples(overlap, ranked, str, n=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first[""].value_counts().to_dict() == {"matched": 3, "worst": 3}
    assert first.equals(again)
    assert not first.equals(other)


def test_contexts_are_those_of_the_stream_whatever_the_dictionary():
    kept = example_dictionary(k=5, n=300)
    other = partition(60, 16, 10, 1)
    read = context_reader(kept.members, other, WordTokenizer(), width=2)
    for i in (0, 17, np.int64(280)):
        assert read(i) == context_line(kept, WordTokenizer(), int(i), 2)
