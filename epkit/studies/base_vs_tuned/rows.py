"""What all checkpoints read, and of every activation what it stands on and in which half it is.

1. Running text; chats whose answer is opened; chats with the first sentence of the base's own
   answer, which is closed.
2. `Rows`: the place of every activation. A habit that a fine-tune taught acts at a known place:
   the last token before an answer, or the last token of an answer.
3. Halves by whole documents and prompts: one is for choosing, the other for testing.

Does not know: dictionaries, how much an activation moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from epkit.lm.activations import ActivationStream
from epkit.lm.chunks import places
from epkit.lm.models import LanguageModel
from epkit.lm.store import ActivationSet, cached

WEB, PROMPT, ANSWER = "web", "prompt", "answer"
ANSWERED, REFUSED = "before an answer", "before a refusal"
END = "end of an answer"
FIRST_PROMPT = 1 << 32
PLACES = (WEB, PROMPT, ANSWERED, REFUSED, ANSWER, END)


@dataclass(frozen=True, eq=False)
class Rows:
    """n activations, the same tokens in every checkpoint; all on the CPU.

    tokens (n,) int32 ids. place (n,) of strings, each of `PLACES`. documents (n,) int64: of which
    document of the running text, or of which prompt, counted from `FIRST_PROMPT` on.
    """

    tokens: Tensor
    place: np.ndarray
    documents: Tensor

    @property
    def half(self) -> Tensor:
        """In which half an activation is, by whole documents and prompts: (n,) int64, 0 or 1."""
        return self.documents % 2

    def at(self, place: str) -> Tensor:
        """Which rows stand there: (n,) bool."""
        return torch.from_numpy(self.place == place)


def stream_activations(
    model: LanguageModel,
    documents: object,
    layers: Sequence[int],
    n: int | None = None,
    *,
    context: int = 128,
) -> ActivationSet:
    """The first n activations of the documents, all of them by default, from the cache if there."""
    stream = ActivationStream(model, documents, layers, context=context)
    n = n or sum(len(window.tokens) - window.first for window in stream.windows())
    return cached(stream, n)


def placed_rows(
    web: ActivationSet, asked: ActivationSet, answered: ActivationSet, refused: Tensor, back: int
) -> Rows:
    """The rows of the three sets, one after the other.

    Parameters
    ----------
    asked : a window per prompt, the answer opened. refused : (P,) bool, by the model that refuses.
    answered : the last of those prompts again, each with its answer.
    back : tokens of the template after an answer (`closing_tokens`).

    Raises ValueError where a prompt did not fit one window.
    """
    for some in (asked, answered):
        count = int(some.documents.max()) + 1
        if len(some.lengths) != count:
            raise ValueError(
                f"{count} prompts gave {len(some.lengths)} windows: raise the stream's context"
            )
    parts = [
        np.full(web.n, WEB, dtype=object), np.full(asked.n, PROMPT, dtype=object),
        np.full(answered.n, ANSWER, dtype=object),
    ]  # fmt: skip
    parts[1][from_the_end(asked, 0)] = np.where(refused.cpu(), REFUSED, ANSWERED)
    parts[2][from_the_end(answered, back)] = END
    first = FIRST_PROMPT + len(refused) - len(answered.lengths)
    numbers = [
        places(web).document, places(asked).document + FIRST_PROMPT,
        places(answered).document + first,
    ]  # fmt: skip
    tokens = torch.cat([x.tokens[x.clustered] for x in (web, asked, answered)])
    return Rows(tokens, np.concatenate(parts), torch.cat(numbers))


def from_the_end(x: ActivationSet, back: int) -> np.ndarray:
    """The row, among the activations of a set, of the token `back` before each window's last."""
    chosen = torch.zeros(len(x.tokens), dtype=torch.bool)
    chosen[x.lengths.long().cumsum(0) - 1 - back] = True
    return chosen[x.clustered].nonzero()[:, 0].numpy()
