"""The answers of the notebook in words, from its numbers.

Does not know: how the numbers came about.
"""

from collections.abc import Iterator, Sequence

from epkit.stats import Interval, bootstrap_difference, least_detectable, t_interval
from epkit.studies.sae_and_probes import EP, RANDOM, SAE
from epkit.studies.sae_and_probes.comparison import IDENTITY, LatentMatches
from epkit.studies.sae_and_probes.latents import SaeQuality
from epkit.studies.sae_and_probes.probing import BEFORE, FITTED, LATENTS, MEAN, ONE_HOT
from epkit.studies.sae_and_probes.scores import COORDINATES, RAW, ProbeScores
from epkit.studies.sae_and_probes.strata import STRATA


def latents_verdict(
    quality: SaeQuality, matched: LatentMatches, percentiles: Sequence[float]
) -> Iterator[str]:
    """Sentences on regions and latents, one a percentile."""
    poor = "too poor to compare; read (a) as a finding about it"
    yield (
        f"(a) SAE: {quality.heldout:.2f} of held-out variance explained (as many principal "
        f"components: {quality.components:.2f}), {quality.dead:.0%} dead: "
        f"{'good enough to compare' if quality.good else poor}."
    )
    for p in percentiles:
        gap, kinds = matched.against_random((EP, p), p), _kinds(matched, p)
        shares = sorted(((matched.tokens((k, p)).mean(), k) for k in kinds), reverse=True)
        equal = matched.at_equal_size((EP, p), p)
        identity = bootstrap_difference(matched.tokens((EP, p)), matched.tokens(_identity))
        yield (
            f"  p {p:g}: held-out tokens whose region's members are a latent's top tokens (F1 > "
            f".5, equal support): {', '.join(f'{kind} {share:.0%}' for share, kind in shares)}. "
            f"EP − random exemplars {gap:+.3f}: {worded(gap, 'more', 'fewer')}; at equal size of "
            f"regions {equal:+.3f}: {worded(equal, 'more', 'fewer')}. "
            f"EP − token identity {identity:+.3f}: {worded(identity, 'more', 'fewer')}."
        )
    scale = [key for key in matched.groups if key[1] is None]
    shares = ", ".join(f"{key[0]} {matched.tokens(key).mean():.0%}" for key in scale)
    yield f"  For scale: {shares}."
    better, worse = _count(matched.against_random((EP, p), p) for p in percentiles)
    equal_better, equal_worse = _count(matched.at_equal_size((EP, p), p) for p in percentiles)
    yield (
        "  Counted by tokens, EP's regions match the SAE better than random exemplars at "
        f"{better} of {len(percentiles)} percentiles, worse at {worse}; at equal size of regions "
        f"better at {equal_better}, worse at {equal_worse}."
    )


def labels_verdict(scores: ProbeScores, p: float, percentiles: Sequence[float]) -> Iterator[str]:
    """Sentences on labels: every kind at p, EP at all percentiles, its readouts."""
    counts = ", ".join(f"{(scores.strata == s).sum()} {s}" for s in STRATA)
    yield (
        f"(b) {len(scores.names)} sets ({counts}, by the raw probe's cross-validation in "
        f"training). Test AUROC: raw {scores.raw(RAW).mean():.3f}, its best coordinates "
        f"{scores.raw(COORDINATES).mean():.3f}."
    )
    for kind, row in scores.headline(p).iterrows():
        gap = row["against random"]
        end = "" if gap is None else f"; less random exemplars {gap:+.3f}: {worded(gap)}"
        yield f"  p {p:g}, {kind} ({row['readout']}): {row['AUROC'].value:.3f}{end}."
    own = scores.values(EP, p, MEAN)
    gap = t_interval(own - scores.raw(COORDINATES))
    yield f"  EP − as many raw coordinates {gap:+.3f}: {worded(gap)}."
    if SAE in scores.kinds(p):
        sparse, dense = (
            t_interval(scores.values(EP, p, mine) - scores.values(SAE, p, theirs))
            for mine, theirs in ((FITTED, LATENTS), (MEAN, BEFORE))
        )
        yield (
            f"  Like with like: EP's least squares − the SAE's latents {sparse:+.3f}: "
            f"{worded(sparse)}; EP's cosines − the SAE before TopK {dense:+.3f}: {worded(dense)}."
        )
    gaps = [t_interval(scores.values(EP, q, MEAN) - scores.values(RANDOM, q, MEAN))
            for q in percentiles]  # fmt: skip
    better, worse = _count(gaps)
    yield (
        f"  EP is better than random exemplars at {better} of {len(percentiles)} percentiles, "
        f"worse at {worse}."
    )
    readouts = scores.by_readout(p).loc[EP].dropna().sort_values(ascending=False)
    said = " > ".join(f"{name} {value:.3f}" for name, value in readouts.items())
    yield f"  Readouts of EP at p {p:g}: {said}."
    one_hot = scores.values(EP, p, ONE_HOT, "accuracy")
    yield (
        f"  One-hot keeps {one_hot.mean() / scores.raw(RAW, 'accuracy').mean():.0%} of the raw "
        "probe's accuracy."
    )


def short_answer(matched: LatentMatches, scores: ProbeScores, p: float) -> str:
    """The answer in two sentences."""
    tokens, equal = matched.against_random((EP, p), p), matched.at_equal_size((EP, p), p)
    gap = t_interval(scores.values(EP, p, MEAN) - scores.values(RANDOM, p, MEAN))
    shares = [matched.tokens(key).mean() for key in ((EP, p), (RANDOM, p), _identity)]
    return (
        f"At p {p:g}, {shares[0]:.0%} of tokens lie in an EP region that has an SAE latent's "
        f"tokens, {shares[1]:.0%} around random exemplars ({worded(tokens, 'more', 'fewer')}; at "
        f"equal size of regions {equal:+.3f}, {worded(equal, 'more', 'fewer')}), "
        f"{shares[2]:.0%} by token identity. Probing {len(scores.names)} sets, EP less random "
        f"exemplars: {gap:+.3f} ({worded(gap)})."
    )


def worded(interval: Interval, above: str = "better", below: str = "worse") -> str:
    """One word for a difference, or what could have been shown."""
    seen = least_detectable(interval, ", {:.3f} could have been")
    return interval.side(above, below, f"no difference shown{seen}")


_identity = (IDENTITY, None)


def _kinds(matched: LatentMatches, p: float) -> list[str]:
    return [kind for kind, at in matched.groups if at == p]


def _count(gaps) -> tuple[int, int]:
    """How many intervals lie above zero, and how many below."""
    gaps = list(gaps)
    return sum(gap.low > 0 for gap in gaps), sum(gap.high < 0 for gap in gaps)
