"""Members of regions as groups of tokens: which they are, what stands around them, what they share.

Activations are assigned where the dictionary is; what leaves its device is the region of every
activation, since tokens and their texts are the host's.

Does not know: models, how a dictionary was made, what a group is said to be (`inspect.names`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from epkit.checks import Arrays
from epkit.dictionary import Dictionary
from epkit.inspect.names import SharedPattern, shared_pattern
from epkit.lm.text import StreamText

MEMBERS = 8
"""Members drawn of a region."""


@dataclass(frozen=True, eq=False)
class MemberTokens:
    """What stands at and around the first n activations of a stream.

    ids (n,) int32: token ids. token (n,): their texts. before (n,): texts of the tokens before, ""
    where the window begins. following (n,): ids of the next tokens, -1 where the window ends.
    """

    ids: np.ndarray
    token: np.ndarray
    before: np.ndarray
    following: np.ndarray

    def shared(self, groups: Sequence[np.ndarray]) -> list[SharedPattern]:
        """What every group of stream positions shares."""
        return [shared_pattern(self.token[g].tolist(), self.before[g].tolist()) for g in groups]

    def kinds(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """The kind of what every group shares, "none" for nothing: (G,) strings."""
        return np.array([found.kind for found in self.shared(groups)])

    def promoted_shares(self, groups: Sequence[np.ndarray], promoted: Arrays) -> list[float]:
        """Of each group's members, the share followed by one of the tokens promoted.

        promoted : (G, k) token ids, on the CPU as a logit lens has them. A group in which no member
            is followed by anything has no share and is left out.
        """
        following = [self.following[group] for group in groups]
        pairs = zip(following, np.asarray(promoted), strict=True)
        return [np.isin(f[f >= 0], tokens).mean() for f, tokens in pairs if (f >= 0).any()]


@dataclass(frozen=True, eq=False)
class Grouping:
    """Stream positions by their nearest exemplar.

    region (N,) int64: of every activation. members: K arrays of up to `MEMBERS` positions drawn
    from each region. large (L,) int64: the regions with members enough to be judged.
    """

    region: np.ndarray
    members: list[np.ndarray]
    large: np.ndarray

    @property
    def large_members(self) -> list[np.ndarray]:
        """Members of the large regions, in their order."""
        return [self.members[r] for r in self.large]

    def held(self, evident: np.ndarray) -> np.ndarray:
        """Per region, K times the share of all activations that it holds, if it is evident: (K,).

        Their mean is the share of activations that lie in evident regions.

        evident : (L,) bool, which of the large regions are.
        """
        k = len(self.members)
        held = np.zeros(k)
        held[self.large] = np.bincount(self.region, minlength=k)[self.large] * evident
        return held * k / len(self.region)


def member_tokens(text: StreamText, n: int) -> MemberTokens:
    """The tokens at and around the first n activations of a stream."""
    everything = np.arange(len(text.places))[:n]
    token, before = (np.array(t, dtype=object) for t in text.with_before(everything))
    _, place, end = text.spans(everything, 1)
    followed = end > place + 1
    after = np.where(followed, place + 1, place)
    return MemberTokens(
        text.tokens[place], token, before, np.where(followed, text.tokens[after], -1)
    )


def group_members(
    dictionary: Dictionary, x: Arrays, min_members: int, *, seed: int = 0
) -> Grouping:
    """Activations by their nearest exemplar, with members drawn at random from every region.

    x : (N, D) activations, assigned on the dictionary's device.
    min_members : of a region that is large.
    """
    region = dictionary.assign(x)[0].cpu().numpy()
    order = np.lexsort((np.random.default_rng(seed).permutation(len(region)), region))
    counts = np.bincount(region, minlength=len(dictionary))
    groups = np.split(order, counts.cumsum()[:-1])
    return Grouping(region, [g[:MEMBERS] for g in groups], np.flatnonzero(counts >= min_members))


def random_groups(n: int, sizes: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Groups of n positions drawn at random, of given sizes, each without repetition."""
    return [rng.choice(n, size, replace=False) for size in sizes]
