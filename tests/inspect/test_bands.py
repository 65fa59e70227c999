"""Contexts in three bands of distance."""

import re

from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.bands import BANDS, SHOWN, in_bands
from epkit.inspect.card import card_html
from epkit.inspect.regions import Regions


def test_every_kept_member_is_in_the_band_of_its_distance():
    regions = Regions(example_dictionary(), WordTokenizer())
    for k in range(len(regions)):
        card = regions.card(k)
        banded = in_bands(card)
        assert [title.split(":")[0] for title in banded.members] == list(BANDS)
        gaps = {round(c.distance, 6) for several in card.members.values() for c in several}
        low, high = min(gaps), max(gaps)
        shown = set()
        drawn = 0
        for i, (title, contexts) in enumerate(banded.members.items()):
            assert len(contexts) <= SHOWN
            own = [c.distance for c in contexts]
            assert own == sorted(own)
            width = (high - low) / 3
            assert all(low + i * width - 1e-5 <= g <= low + (i + 1) * width + 1e-5 for g in own)
            shown |= {round(g, 6) for g in own}
            drawn += int(re.search(r"(\d+) of \d+ drawn", title)[1])
        assert shown <= gaps
        assert {low, high} <= shown or len(gaps) > 2 * SHOWN
        assert drawn == len(card.members.get("random", card.members.get("all")))
    assert "Near: " in card_html(banded)
