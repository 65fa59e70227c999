"""What notebook 14 found, in sentences that follow from its numbers.

Does not know: how the numbers came about.
"""

from collections.abc import Mapping

import pandas as pd

from epkit.studies.scaling.tables import PAYS, duration, pays_until


def scaling_answer(misses: pd.DataFrame, table: pd.DataFrame, p: float, total: float) -> str:
    """The answer in at most 40 words. misses : `miss_table`; table : `projections`."""
    late = misses["misses, last tenth"][p]
    growing, stopped = (pays_until(table, case, "one driver", total) for case in NAMED)
    better = pays_until(table, "growing", "two levels", total)
    two = f"two levels reach {better}" if better > growing else "two levels do not reach more"
    return (
        f"At p {p:g}, K {misses.K[p]:,}, {late:.1%} of the last rows miss. By the model one driver "
        f"pays until {growing} GPUs if K grows on, {stopped} if not ({total:.0e} activations); "
        f"{two}."
    )


NAMED = ("growing", "stopped")


def bottleneck_sentence(table: pd.DataFrame, total: float, workers: int) -> str:
    """What takes most of the time at a number of workers, in both cases."""
    part = table[
        (table.activations == total) & (table.workers == workers) & (table.design == "one driver")
    ].set_index("case")
    said = " and ".join(
        f"{duration(part.hours[case])} if K {'grows on' if case == 'growing' else 'stops'} "
        f"(most of it {WORK[part.most[case]]})"
        for case in NAMED
    )
    return f"{total:.0e} activations on {workers} GPUs and one driver take {said}."


WORK = {
    "forward": "the forward passes",
    "products": "the workers' products",
    "link": "the driver's link",
    "rule": "the driver's leader rule",
    "adding": "the driver's adding of sums",
    "calls": "the calls",
}


def check_sentence(check: pd.DataFrame) -> str:
    """Whether the model foretells real workers. check : `check_table`."""
    ratio = check["modelled / seconds"].drop(0, errors="ignore")
    low, high = ratio.min(), ratio.max()
    fits = "within a third" if low > 2 / 3 and high < 3 / 2 else "not within a third"
    return (
        f"Against {', '.join(str(w) for w in ratio.index)} workers here the model's time is "
        f"{low:.2f} to {high:.2f} of the measured one: {fits}. One worker takes "
        f"{check['against none'][1]:.2f} times as long as none."
    )


def traffic_sentence(traffic: pd.DataFrame) -> str:
    """Bytes an activation, and which part is most of them. traffic : `traffic_table`."""
    few, many = traffic.index[0], traffic.index[-1]
    parts = traffic[[c for c in traffic.columns if c.endswith(", B")]]
    most = {w: parts.loc[w].idxmax().removesuffix(", B") for w in (few, many)}
    total = parts.sum(axis=1)
    return (
        f"Between driver and workers {total[few]:,.0f} bytes an activation move with {few}, "
        f"{total[many]:,.0f} with {many} ({traffic['all, of an activation'][few]:.0%} and "
        f"{traffic['all, of an activation'][many]:.0%} of the activation itself), most of them "
        f"{most[few]}" + (f" and {most[many]}." if most[few] != most[many] else ".")
    )


def facts(values: Mapping[str, bool]) -> list[str]:
    """Facts that hold on any machine, a line each with yes or no."""
    return [f"{claim}: {'yes' if true else 'no'}" for claim, true in values.items()]


def pays_sentence(table: pd.DataFrame, total: float) -> str:
    """Where the next doubling stops paying, by design and case."""
    said = "; ".join(
        f"{design}, K {'growing on' if case == 'growing' else 'stopped'}: "
        f"{pays_until(table, case, design, total)}"
        for design in ("one driver", "two levels") for case in NAMED
    )  # fmt: skip
    return f"GPUs up to which at least {PAYS:.0%} of the ideal speed-up is left: {said}."
