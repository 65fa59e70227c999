"""The steps of notebook 00, a call each: first what a page without a kernel shows, then the panel.

Does not know: how things are drawn or chosen.
"""

from IPython.display import HTML, display

from epkit.inspect.regions import Regions
from epkit.studies.first_look import views
from epkit.studies.first_look.game import draw_rounds, rule_score, rule_text
from epkit.studies.first_look.panels import GamePanel, edit_panel, sentence_panel
from epkit.studies.first_look.reading import edit_text, edits_compared, read_sentence
from epkit.studies.first_look.shipped import FACTS, Look, load_shipped
from epkit.studies.first_look.walk import Stop, walk

ROUNDS = 10


def first_look(**asked) -> Look:
    """The shipped dictionary where it is what is asked for, else one that is built now.

    asked : as `FACTS`.
    """
    if asked == FACTS:
        return load_shipped()
    from epkit.studies.first_look.making import make  # a build needs what a look does not

    print(f"no dictionary of {asked['model']} comes with the kit: a small one is built now")
    return make(asked)


def open_look(**facts) -> Look:
    """A dictionary as a map beside the surprising region of the walk; facts as in `FACTS`."""
    look = first_look(**facts)
    display(HTML(views.map_html(look, favourite(look.regions).region)))
    return look


def favourite(regions: Regions) -> Stop:
    """The surprising region; where there is none, the clear or the bad one."""
    stops = {stop.title: stop for stop in walk(regions)}
    return stops.get("A surprising one") or next(iter(stops.values()))


def stops(look: Look) -> None:
    """The three regions of the walk."""
    display(HTML(views.walk_html(look.regions, walk(look.regions))))


def game(look: Look, seed: int) -> None:
    """A game to read, and one to play; of fewer rounds where there are fewer regions."""
    n = min(ROUNDS, *(len(groups) for groups in look.groups.values()))
    display(HTML(views.game_html(look.regions, draw_rounds(look, n, seed=seed))))
    display(GamePanel(look, n))


def sentence(look: Look, text: str) -> None:
    """A sentence with the names of its regions; the model is loaded now."""
    display(HTML(views.sentence_html(look.regions, read_sentence(look, text))))
    display(sentence_panel(look))


def edits(look: Look, prompt: str) -> str:
    """A prompt continued before and after; which edits changed it."""
    region = favourite(look.regions).region
    found = edits_compared(look, region, prompt)
    display(HTML(views.edits_html(prompt, found)))
    display(edit_panel(look, [stop.region for stop in walk(look.regions)], prompt))
    return edit_text(found)


def say_verdict(look: Look, edited: str) -> None:
    """What the notebook found, in two sentences."""
    print(rule_text(rule_score(look)), edited)
