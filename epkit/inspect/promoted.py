"""The tokens that regions promote and suppress: rows and columns of a logit lens, as needed.

Does not know: HTML, what a card says, members.
"""

import numpy as np
import torch
from torch import Tensor

from epkit.dictionary import Dictionary
from epkit.lm.lens import LogitLens, logit_lens, normed_directions
from epkit.lm.models import LanguageModel, unembedding

LENS_TOKENS = 10
"""Tokens of either kind that are told of a region."""


class PromotedTokens:
    """Rows of a logit lens, given or asked of the model as they are needed.

    Attributes
    ----------
    known : whether promoted tokens can be told at all.
    model : the model that is asked, None where only rows are known.
    """

    def __init__(self, dictionary: Dictionary, model: LanguageModel | None, lens: LogitLens | None):
        self.known = lens is not None or model is not None
        self.model, self._means = model, dictionary.means
        self._lens = lens
        self._normed: Tensor | None = None
        self._filled: Tensor | None = None

    @property
    def complete(self) -> bool:
        """Whether the rows of all regions are at hand."""
        if self._filled is None:
            return self._lens is not None
        return bool(self._filled.all())

    def of(self, rows: np.ndarray) -> LogitLens | None:
        """Promoted and suppressed tokens of some regions: (R,) -> a lens of R rows."""
        if not self.known:
            return None
        rows = torch.as_tensor(np.asarray(rows, dtype=np.int64))
        if self._lens is None:
            self._lens, self._filled = self._empty(), torch.zeros(len(self._means)).bool()
        if self._filled is not None:
            missing = rows[~self._filled[rows]].unique()
            if len(missing):
                new = logit_lens(self.model, self._means[missing], k=self._lens.promoted.shape[1])
                for name, value in vars(self._lens).items():
                    value[missing] = getattr(new, name)
                self._filled[missing] = True
        return LogitLens(**{name: value[rows] for name, value in vars(self._lens).items()})

    def standing(self, ids: list[int]) -> np.ndarray:
        """How much more every region promotes one of some tokens than regions do on average.

        (K,) float32: the logit of the direction, less its mean over the regions, in standard
        deviations; of several tokens the highest. One column of the lens an id, so it is quick.
        Needs the model.
        """
        if self._normed is None:
            with torch.no_grad():
                self._normed = normed_directions(self.model, self._means)
        with torch.no_grad():
            weight = unembedding(self.model).weight[ids].float()
            logits = self._normed @ weight.T
        z = (logits - logits.mean(0)) / logits.std(0, correction=0).clamp(min=1e-9)
        return z.amax(dim=1).cpu().numpy()

    def _empty(self) -> LogitLens:
        shape = (len(self._means), min(LENS_TOKENS, self.model.vocab_size))
        ids, logits = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
        return LogitLens(ids, logits, ids.clone(), logits.clone())
