"""What the model is needed for: a sentence's regions, and text with a region taken out or pushed.

Does not know: HTML, widgets.
"""

from dataclasses import dataclass

from epkit.controls import matched_regions
from epkit.interventions import Edits, ablate, steer
from epkit.lm.generate import generate
from epkit.lm.trace import Trace, trace_prompt
from epkit.studies.first_look.shipped import Look

PUSH = 0.25
"""How far a region is pushed, in typical norms of the layer's activations."""

NEW_TOKENS = 14


@dataclass(frozen=True)
class Edited:
    """A continuation of a prompt under an edit, and what the edit is."""

    what: str
    text: str


def read_sentence(look: Look, sentence: str) -> Trace:
    """The regions of a sentence's tokens; errors are those of `trace_prompt`."""
    return trace_prompt(look.model, {look.facts["layer"]: look.dictionary}, sentence)


def edits_compared(look: Look, region: int, prompt: str, push: float = PUSH) -> list[Edited]:
    """Greedy continuations: as the model is, without a region, pushed to it, and to a null region.

    The null region is the one most like it in size and coherence. Errors are those of `generate`.
    """
    d, layer = look.dictionary, [look.facts["layer"]]
    null = int(matched_regions(d, region)[0])
    edits: dict[str, Edits | None] = {
        "as it is": None,
        f"region {region} taken out": ablate(d.means[region], d.centre, layer),
        f"pushed to region {region}": steer(d.means[region], push, look.norm, layer),
        f"control: pushed to region {null}": steer(d.means[null], push, look.norm, layer),
    }
    found = []
    for what, edit in edits.items():
        (answer,) = generate(look.model, [prompt], edit, max_new_tokens=NEW_TOKENS)
        found.append(Edited(what, look.model.tokenizer.decode(answer.answer)))
    return found


def edit_text(found: list[Edited]) -> str:
    """Which edits changed the continuation."""
    plain, out, pushed, control = (edited.text for edited in found)
    words = [("taking it out", out), ("pushing to it", pushed), ("the control", control)]
    changed = [what for what, text in words if text != plain]
    if not changed:
        return "No edit changes the text."
    same = [what for what, text in words if text == plain]
    said = f"The text changes by {', '.join(changed)}"
    return f"{said}; not by {' nor '.join(same)}." if same else f"{said}."
