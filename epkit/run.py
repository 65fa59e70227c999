"""Run the numbered notebooks with one profile's parameters: `python -m epkit.run --profile cpu`.

A profile (`notebooks/profiles/<name>.yaml`) gives each notebook its parameters; `-p name value`
overrides it. Results go to `runs/<profile>/` as `runner.execution` says; `--fresh` runs again what
is done already. With `--sweep file.yaml` every combination of parameters is run (`runner.sweep`),
with `--engine ray` many at a time on the machines of a Ray cluster.

Does not know: what any notebook computes, how one is executed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

from epkit.runner import costs, sweep
from epkit.runner.execution import Job, plan, run, summary
from epkit.runner.profiles import parameter_defaults, parse

ROOT = Path(__file__).resolve().parents[1]


def _arguments(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m epkit.run", description="Run the notebooks.")
    parser.add_argument("--profile", default="cpu", help="a name in notebooks/profiles")
    parser.add_argument("--only", nargs="+", metavar="NN", help="run only these, by number or name")
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="overrides"
    )
    parser.add_argument("--list", action="store_true", help="show what would be run, and stop")
    parser.add_argument("--check", action="store_true", help="say what each will need, and stop")
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="notebooks that run at a time (1)"
    )
    parser.add_argument("--fresh", action="store_true", help="run even what is done already")
    parser.add_argument(
        "--sweep", type=Path, metavar="FILE", help="run every combination that the file names"
    )
    parser.add_argument(
        "--engine", choices=sweep.ENGINES, default="here", help="what runs a sweep's combinations"
    )
    args = parser.parse_args(argv)
    of_a_profile = args.only or args.overrides or args.check or args.at_once != 1
    if args.sweep and (of_a_profile or args.profile != "cpu"):
        given = "--profile, --only, -p, --check and --at-once"
        parser.error(f"a sweep's file says what to run: leave out {given}")
    if args.at_once < 1:
        parser.error(f"--at-once must be 1 or more, got {args.at_once}")
    if args.engine != "here" and not args.sweep:
        parser.error(f"--engine {args.engine} runs sweeps: give --sweep FILE")
    return parser, args


def _check(parser: argparse.ArgumentParser, jobs: Sequence[Job]) -> int:
    """Print what the jobs will need; 2 where one does not fit this machine."""
    try:
        whole = {
            job.stem: {**parameter_defaults(nbformat.read(job.source, 4)), **job.parameters}
            for job in jobs
        }
        text, refusals = costs.table(whole, costs.machine())
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    print(text)
    for refusal in refusals:
        print(refusal, file=sys.stderr)
    return 2 if refusals else 0


def _sweep(parser: argparse.ArgumentParser, args: argparse.Namespace, root: Path) -> int:
    """Run a sweep; the status that `main` gives."""
    try:
        wanted = sweep.load_sweep(args.sweep)
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    try:
        if args.list:
            print(*(sweep.point_name(point) for point in wanted.points()), sep="\n")
            return 0
        home, table = sweep.run_sweep(wanted, root, args.engine, args.fresh)
    except (ValueError, ModuleNotFoundError) as problem:
        parser.error(str(problem))
    print(f"\n{(table.status == 'done').sum()} of {len(table)} notebooks done")
    print(f"table: {home / 'sweep.csv'}\npages: {home / 'index.html'}")
    return int((table.status != "done").any())


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Exit status: 0 all done, 1 a notebook failed, 2 nothing could be run, 130 interrupted."""
    parser, args = _arguments(argv)
    # A kernel of the same name in the user's own folder must not take this interpreter's place.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    folder = root / "runs" / (args.sweep.stem if args.sweep else args.profile)
    try:
        return _sweep(parser, args, root) if args.sweep else _profile(parser, args, root)
    except KeyboardInterrupt:
        print("\ninterrupted; notebooks already done are kept, the same command goes on from there")
        return 130
    except BlockingIOError as problem:
        print(problem, file=sys.stderr)
    except OSError as problem:
        advice = "make room there or allow writing, and give the same command again"
        print(f"cannot write to {folder} ({problem}): {advice}", file=sys.stderr)
    return 2


def _profile(parser: argparse.ArgumentParser, args: argparse.Namespace, root: Path) -> int:
    """Run, list or check the notebooks of a profile; the status that `main` gives."""
    try:
        overrides = {name: parse(value, f"-p {name}") for name, value in args.overrides}
        notebooks, jobs = plan(root, args.profile, args.only or (), overrides)
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    if args.list:
        for job in jobs:
            print(job.stem, *(f"{k}={v!r}" for k, v in job.parameters.items()), sep="  ")
        return 0
    if args.check:
        return _check(parser, jobs)
    folder = root / "runs" / args.profile
    results = run(jobs, folder, notebooks, args.fresh, args.at_once)
    print(summary(results))
    print(f"\npages: {folder / 'index.html'}")
    return int(any(record["status"] == "failed" for record in results.values()))


if __name__ == "__main__":
    sys.exit(main())
