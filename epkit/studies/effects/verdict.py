"""What notebook 11 found, in sentences, from its tables alone.

Does not know: models, texts, how the numbers came about.
"""

import pandas as pd

from epkit.stats import Interval, least_detectable
from epkit.studies.effects.drawing import EP, ISOTROPIC, MADE_UP, RANDOM


def effects_verdict(
    rule: pd.DataFrame,
    promoted: pd.DataFrame,
    behaviour: pd.DataFrame,
    beyond: dict[str, Interval],
    percentiles: list[float],
    where: str,
) -> list[str]:
    """The answer first, then what was moved, what it cost, and what could not be told apart.

    Parameters
    ----------
    rule, promoted, behaviour : of `rule_table`, `promoted_table` and `behaviour_table`.
    beyond : {basis: `loss_beyond_random`} at the first percentile.
    where : model and layer, as a sentence says them.
    """
    first = f"{percentiles[0]:g}"
    own = rule.loc[EP, first, "mean"]
    lines = [
        f"{where}, p {first}, mean basis: steering raises the promoted tokens of "
        f"{own['steering raises']:.0%} of {own['n']} regions beyond 95 % of random directions, "
        f"ablating lowers those of {own['ablating lowers']:.0%} at their members, both hold for "
        f"{own['both']:.0%}: {amount(own['both'])} do what their lens says.",
    ]
    for p in (f"{p:g}" for p in percentiles):
        for basis in ("exemplar", "mean"):
            ep, random = (rule.loc[(kind, p, basis), "both"] for kind in (EP, RANDOM))
            minus = rule.loc[(EP, p, basis), "both, less random exemplars"]
            lines.append(
                f"  p {p}, {basis}: both hold for {ep:.0%}, of random exemplars {random:.0%}: "
                f"difference {minus:+.0%}, {compared(minus)}."
            )
    moved = promoted.loc[EP, first, "mean"]
    steered, other = moved["steer: own tokens"], moved["steer: another's"]
    cost = behaviour.loc[EP, first, "mean"]
    lines.append(
        f"Steered, own promoted tokens gain {steered:+.2f} logits and those of another region "
        f"{other:+.2f}, at a KL of {cost['steered: KL'].value:.2f} nats."
    )
    for kind in (MADE_UP, ISOTROPIC):
        gain = promoted.loc[(kind, "–", "–"), "steer: own tokens"]
        kl = behaviour.loc[(kind, "–", "–"), "steered: KL"]
        lines.append(f"  {kind}: their own gain {gain:+.2f}, at a KL of {kl.value:.2f} nats.")
    lines.append(
        f"Ablated, members lose {cost['Δloss, members']:+.3f} nats a token and others "
        f"{cost['Δloss, others']:+.3f}: {loss_says(cost['Δloss, members − others'])}."
    )
    for basis, interval in beyond.items():
        lines.append(
            f"  {basis}: {interval:+.3f} more than a random direction at the same tokens, "
            f"{compared(interval, '+.3f')}."
        )
    return lines


def amount(share: Interval) -> str:
    """How many of the regions that is, by its interval."""
    if share.low > 0.5:
        return "most"
    if share.high < 0.05:
        return "hardly any"
    return "a minority" if share.high < 0.5 else "perhaps half"


def compared(minus: Interval, spec: str = ".0%") -> str:
    """Whether a difference is shown, and which one would have been."""
    said = least_detectable(minus, f"detectable {{:{spec.lstrip('+')}}}", "no spread")
    return minus.side("more", "less", f"no difference shown ({said})")


def loss_says(minus: Interval) -> str:
    """Whether an ablation hurts where the region is."""
    return minus.side(
        "it hurts its members more than other tokens",
        "it hurts other tokens more than its members",
        f"members and others {compared(minus, '+.3f')}",
    )
