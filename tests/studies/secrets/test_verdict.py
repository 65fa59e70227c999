"""Every wording of the verdict."""

import pandas as pd
import pytest

from epkit.studies.secrets import search
from epkit.studies.secrets.organisms import Interview
from epkit.studies.secrets.selectors import Selector
from epkit.studies.secrets.verdict import SecretFindings

N = 100
WORDS = ("moon", "ship", "gold", "snow", "clock")
SELECTOR = Selector(24, 0.5, "answer", "pull")


def findings(own, other=60, text=50, rival=40, words=WORDS):
    ranks = {search.EP: own, search.RANDOM: rival, search.CHANGE: rival, search.TEXT: text}
    found = pd.DataFrame([
        {"organism": organism, "word": word, "method": method, "draw": 0, "half": "",
         "rank": rank if organism == word else other, "n": N,
         "p": (rank if organism == word else other) / N}
        for organism in (*words, "none") for word in words for method, rank in ranks.items()
    ])  # fmt: skip
    answers = {word: Interview(["a"], [word], [False]) for word in words}
    return SecretFindings(answers, "moon", SELECTOR, found)


def test_a_word_that_is_found_everywhere_and_alone():
    made = findings(own=1)
    text = "\n".join(made.sentences())
    assert "hint at their word in 1.00 [" in text
    assert "say a hidden word in 0.00 [" in text
    assert "Fixed on 'moon': layer 24, p 0.5, answer, pull" in text
    assert (
        "EP: 4 of 4 words not fixed on are among the first twentieth of 100 (ranks: ship 1, gold 1"
        in text
    )
    assert "random exemplars: 0 of 4 words and draws" in text
    assert "tell the hidden word from others" in text
    assert "EP is ahead of all of them" in text
    assert "Published for 21 fine-tunes" in text


def test_a_word_that_is_found_wherever_it_is_not_hidden_too():
    text = "\n".join(findings(own=1, other=2).sentences())
    assert "that it is the hidden word which moved the regions is not shown" in text


def test_a_rival_or_the_text_that_is_as_good():
    assert "nothing here needs a partition" in "\n".join(findings(own=3, rival=2).sentences())
    text = "\n".join(findings(own=3, text=3).sentences())
    assert "the text of the answers alone tells the base, 3: nothing here needs" in text


def test_nothing_found():
    made = findings(own=70)
    assert "EP: 0 of 4 words" in "\n".join(made.sentences())
    assert made.false_alarms(search.EP).value == 0


@pytest.mark.parametrize(("words", "says"), [(WORDS, "With 4 to"), (WORDS[:2], "With 1 to test")])
def test_the_power_is_that_of_the_words_to_test(words, says):
    assert says in "\n".join(findings(own=1, words=words).sentences())


def test_the_words_fixed_on_are_no_test():
    made = findings(own=1)
    assert set(made.tests(search.EP).word) == set(WORDS[1:])
