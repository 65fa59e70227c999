"""Run the numbered notebooks with one profile's parameters: `python -m epkit.run --profile cpu`.

1. A profile (`notebooks/profiles/<name>.yaml`) gives each notebook its parameters; `-p name value`
   overrides it. A name that no notebook has is an error.
2. papermill executes the notebooks in order, in the notebooks' folder, with this interpreter. One
   that fails does not stop the later ones.
3. Results go to `runs/<profile>/`: `<notebook>.ipynb`, the same as pages behind `index.html`, and
   `state.json`, what was run from which inputs. A notebook that fails is kept up to the error as
   `<notebook>.failed.ipynb`, beside the good one of an earlier run. One run at a time writes there.
4. A notebook already done from the same inputs (`runner.inputs`) is skipped. The results of earlier
   notebooks are not among the inputs: `--fresh` runs all again.

Does not know: what any notebook computes.
"""

from __future__ import annotations

import argparse
import html
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert.filters import strip_ansi

from epkit.runner import costs, inputs, pages, records
from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, parse, resolve

ROOT = Path(__file__).resolve().parents[1]
TRACEBACK_LINES = 12

# What papermill would log is in the record of each run; without a handler it goes to stderr.
logging.getLogger("papermill").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Job:
    """One notebook with the parameters it is to be run with."""

    source: Path
    parameters: Mapping[str, Any]

    @property
    def stem(self) -> str:
        return self.source.stem


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def execute(job: Job, folder: Path) -> dict[str, Any]:
    """Run one notebook into `folder`; its record (status, seconds, error, traceback).

    A failure leaves what an earlier run made; a success takes an earlier failure away.
    """
    partial = folder / f".{job.stem}.partial.ipynb"
    failed = _output(folder, job.stem, "failed")
    error, trace, start = "", "", time.monotonic()
    live = sys.stderr.isatty()
    if not live:
        print(f"{job.stem}: running", flush=True)
    try:
        try:
            papermill.execute_notebook(
                job.source,
                partial,
                dict(job.parameters),
                kernel_name="python3",
                language="python",
                progress_bar={"desc": job.stem, "leave": False} if live else False,
                cwd=job.source.parent,
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except Exception as problem:  # whatever stops one notebook must not stop the others
            error, trace = _explain(problem)
        for path in (failed, failed.with_suffix(".html")):
            path.unlink(missing_ok=True)
        if partial.exists():
            os.replace(partial, failed if error else _output(folder, job.stem, "done"))
    finally:
        partial.unlink(missing_ok=True)
    seconds = time.monotonic() - start
    status = "failed" if error else "done"
    return {"status": status, "seconds": seconds, "error": error, "traceback": trace}


def _explain(problem: Exception) -> tuple[str, str]:
    """The error's first line, and the end of its traceback without colours."""
    if isinstance(problem, papermill.PapermillExecutionError):
        name, text = problem.ename, strip_ansi(str(problem.evalue))
        trace = strip_ansi("\n".join(problem.traceback))
    else:
        name, text, trace = type(problem).__name__, str(problem), ""
        if name == "DeadKernelError":
            text = "the notebook's Python process died, most often for lack of memory"
    first = text.strip().split("\n")[0]
    return f"{name}: {first}"[:200], "\n".join(trace.strip().split("\n")[-TRACEBACK_LINES:])


def _output(folder: Path, stem: str, status: str) -> Path:
    return folder / (f"{stem}.ipynb" if status == "done" else f"{stem}.failed.ipynb")


def _read(path: Path) -> nbformat.NotebookNode | None:
    """A notebook; None where there is none, or half of one that a full disk has left."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError):
        return None


def write_index(folder: Path, notebooks: Sequence[Path], state: Mapping[str, Any]) -> None:
    """Write `index.html` over all notebooks: those run from their record, the others as not run."""
    entries = [_entry(folder, source, state.get(source.stem)) for source in notebooks]
    pages.write_index(folder / "index.html", folder.name, entries)


def _entry(folder: Path, source: Path, record: Mapping[str, Any] | None) -> pages.IndexLine:
    """The line of one notebook: what came of it, and the good result of an earlier run."""
    if record is None:
        title = pages.title(nbformat.read(source, as_version=4), source.stem)
        return pages.IndexLine(title, "not run", "", "", None)
    executed, links = _output(folder, source.stem, record["status"]), {}
    notebook = _read(executed)
    title = pages.title(notebook or nbformat.read(source, as_version=4), source.stem)
    page = executed.with_suffix(".html").name if notebook else None
    if record["status"] == "failed":
        verdict = html.escape(record["error"])
        if (earlier := folder / f"{source.stem}.html").exists():
            links["the earlier result"] = earlier.name
    else:
        verdict = pages.verdict(notebook) if notebook else ""
    elapsed = clock(record["seconds"])
    return pages.IndexLine(title, record["status"], elapsed, verdict, page, links)


def _summary(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The table printed at the end, with the end of each failed notebook's traceback above it."""
    width = max(len(stem) for stem in results)
    lines = []
    for stem, record in results.items():
        if record["status"] == "failed":
            lines += ["", f"--- {stem}", record["traceback"] or record["error"]]
    lines += ["", f"{'notebook':{width}}  status   {'time':>8}"]
    for stem, record in results.items():
        row = f"{stem:{width}}  {record['status']:7}  {clock(record['seconds']):>8}"
        lines.append(f"{row}  {record['error']}".rstrip())
    return "\n".join(lines)


def run(
    jobs: Sequence[Job], folder: Path, notebooks: Sequence[Path], fresh: bool = False
) -> dict[str, dict[str, Any]]:
    """Run `jobs` in order into `folder`, skipping what is done; stem → record of each.

    Raises OSError where `folder` cannot be written, BlockingIOError where another run holds it.
    """
    with records.locked(folder):
        (state, damage), results = records.read(folder), {}
        if damage:
            print(damage)
        for job in jobs:
            digest, record = inputs.fingerprint(job.source, job.parameters), state.get(job.stem, {})
            same = record.get("status") == "done" and record.get("inputs") == digest
            skipped = same and not fresh and _read(_output(folder, job.stem, "done")) is not None
            if skipped:
                print(f"{job.stem}: skipped, done before from the same inputs (see --fresh)")
                results[job.stem] = {**record, "status": "skipped"}
            else:
                record = {**execute(job, folder), "inputs": digest}
                print(f"{job.stem}: {record['status']} in {clock(record['seconds'])}", flush=True)
                results[job.stem] = state[job.stem] = record
                records.write(folder, state)
            executed = _output(folder, job.stem, record["status"])
            page = executed.with_suffix(".html")
            if not skipped or not page.exists():  # a run may have been stopped before its page
                if _read(executed) is not None:
                    pages.write_page(executed, page)
                write_index(folder, notebooks, state)
    return results


def _arguments(argv: Sequence[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m epkit.run", description="Run the notebooks.")
    parser.add_argument("--profile", default="cpu", help="a name in notebooks/profiles")
    parser.add_argument("--only", nargs="+", metavar="NN", help="run only these, by number or name")
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="overrides"
    )
    parser.add_argument("--list", action="store_true", help="show what would be run, and stop")
    parser.add_argument("--check", action="store_true", help="say what each will need, and stop")
    parser.add_argument("--fresh", action="store_true", help="run even what is done already")
    return parser, parser.parse_args(argv)


def plan(root: Path, args: argparse.Namespace) -> tuple[list[Path], list[Job]]:
    """All notebooks, and the selected ones with their parameters; ValueError on a wrong name."""
    notebooks = find_notebooks(root)
    profile = load_profile(root, args.profile)
    defaults = {}
    for path in notebooks:
        try:
            defaults[path.stem] = parameter_defaults(nbformat.read(path, as_version=4))
        except (ValueError, AttributeError) as problem:
            raise ValueError(f"{path.name}: {problem}") from problem
    wanted = args.only or [""]
    for part in wanted:
        if not any(stem.startswith(part) for stem in defaults):
            raise ValueError(f"no notebook {part!r}; known: {', '.join(defaults)}")
    selected = [path for path in notebooks if path.stem.startswith(tuple(wanted))]
    overrides = {name: parse(value, f"-p {name}") for name, value in args.overrides}
    resolved = resolve(profile, defaults, overrides, [path.stem for path in selected])
    return notebooks, [Job(path, resolved[path.stem]) for path in selected]


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


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Exit status: 0 all done, 1 a notebook failed, 2 nothing could be run, 130 interrupted."""
    parser, args = _arguments(argv)
    try:
        notebooks, jobs = plan(root, args)
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    if args.list:
        for job in jobs:
            print(job.stem, *(f"{k}={v!r}" for k, v in job.parameters.items()), sep="  ")
        return 0
    if args.check:
        return _check(parser, jobs)
    # A kernel of the same name in the user's own folder must not take this interpreter's place.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    folder = root / "runs" / args.profile
    try:
        results = run(jobs, folder, notebooks, args.fresh)
    except KeyboardInterrupt:
        print("\ninterrupted; notebooks already done are kept, the same command goes on from there")
        return 130
    except BlockingIOError as problem:
        print(problem, file=sys.stderr)
        return 2
    except OSError as problem:
        advice = "make room there or allow writing, and give the same command again"
        print(f"cannot write to {folder} ({problem}): {advice}", file=sys.stderr)
        return 2
    print(_summary(results))
    print(f"\npages: {folder / 'index.html'}")
    return int(any(record["status"] == "failed" for record in results.values()))


if __name__ == "__main__":
    sys.exit(main())
