"""Run the numbered notebooks with one profile's parameters: `python -m epkit.run --profile cpu`.

1. A profile (`notebooks/profiles/<name>.yaml`) gives each notebook its parameters; `-p name value`
   overrides it. A name that no notebook has is an error.
2. papermill executes the notebooks in order, in the notebooks' folder, with this interpreter. One
   that fails does not stop the later ones.
3. Results go to `runs/<profile>/`: `<notebook>.ipynb`, or `<notebook>.failed.ipynb` up to the
   error; the same as pages behind `index.html`; and `state.json`, what was run from which inputs.
4. A notebook already done from the same inputs (its source, its parameters, the package's source)
   is skipped. The results of earlier notebooks are not among the inputs: `--fresh` runs all again.

This module does not know what any notebook computes.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from nbconvert.filters import strip_ansi
from papermill.engines import NBClientEngine, papermill_engines

from epkit import files
from epkit.runner import pages
from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, resolve

ROOT = Path(__file__).resolve().parents[1]
TRACEBACK_LINES = 12


@dataclass(frozen=True)
class Job:
    """One notebook with the parameters it is to be run with."""

    source: Path
    parameters: Mapping[str, Any]

    @property
    def stem(self) -> str:
        return self.source.stem


def fingerprint(job: Job) -> str:
    """Hex digest of what decides a run: notebook source, parameters, the package's source files."""
    notebook = nbformat.read(job.source, as_version=4)
    cells = [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]
    digest = hashlib.sha256(json.dumps([cells, dict(job.parameters)]).encode())
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class _CountingEngine(NBClientEngine):
    """papermill's own engine, which also tells `on_cell(i, n)` which cell it starts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, on_cell, **kwargs):
        begin = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            on_cell(cell_index + 1, len(nb_man.nb.cells))
            begin(cell, cell_index, **more)

        nb_man.cell_start = cell_start
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


papermill_engines.register("epkit", _CountingEngine)
# What papermill would log is in the record of each run; without a handler it goes to stderr.
logging.getLogger("papermill").addHandler(logging.NullHandler())


class _Progress:
    """One live line (cell i/n, elapsed) on a terminal; one plain line at the start elsewhere."""

    def __init__(self, name: str) -> None:
        self.name, self.cell, self.start = name, "starting", time.monotonic()
        self.live = sys.stdout.isatty()
        self.finished = threading.Event()

    def __enter__(self) -> _Progress:
        if self.live:
            self.thread = threading.Thread(target=self._draw, daemon=True)
            self.thread.start()
        else:
            print(f"{self.name}: running", flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.finished.set()
        if self.live:
            self.thread.join()
            print("\r\x1b[K", end="", flush=True)

    def on_cell(self, i: int, n: int) -> None:
        self.cell = f"cell {i}/{n}"

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def _draw(self) -> None:
        while not self.finished.wait(1):
            line = f"{self.name}: {self.cell}, {clock(self.seconds())}"
            print(f"\r\x1b[K{line}", end="", flush=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def execute(job: Job, folder: Path) -> dict[str, Any]:
    """Run one notebook into `folder`; its record (status, seconds, error, traceback)."""
    partial = folder / f".{job.stem}.partial.ipynb"
    done, failed = folder / f"{job.stem}.ipynb", folder / f"{job.stem}.failed.ipynb"
    error, trace = "", ""
    try:
        with _Progress(job.stem) as progress:
            try:
                papermill.execute_notebook(
                    job.source,
                    partial,
                    dict(job.parameters),
                    engine_name="epkit",
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    cwd=job.source.parent,
                    on_cell=progress.on_cell,
                    extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
                )
            except Exception as problem:  # whatever stops one notebook must not stop the others
                error, trace = _explain(problem)
        if partial.exists():
            os.replace(partial, failed if error else done)
            (done if error else failed).unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)
    status = "failed" if error else "done"
    return {"status": status, "seconds": progress.seconds(), "error": error, "traceback": trace}


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


def read_state(folder: Path) -> dict[str, dict[str, Any]]:
    """Stem → record of what was run into `folder`; empty where nothing was."""
    path = folder / "state.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _output(folder: Path, stem: str, status: str) -> Path:
    return folder / (f"{stem}.ipynb" if status == "done" else f"{stem}.failed.ipynb")


def write_index(folder: Path, notebooks: Sequence[Path], state: Mapping[str, Any]) -> None:
    """Write `index.html` over all notebooks: those run from their record, the others as not run."""
    entries = []
    for source in notebooks:
        record = state.get(source.stem, {"status": "not run", "seconds": None, "error": ""})
        status, page, elapsed = record["status"], None, ""
        executed = _output(folder, source.stem, status)
        notebook = nbformat.read(executed if executed.exists() else source, as_version=4)
        verdict = pages.verdict(notebook) if status == "done" else ""
        if status == "failed":
            verdict = html.escape(record["error"])
        if status != "not run":
            elapsed = clock(record["seconds"])
            page = f"{source.stem}.html" if executed.exists() else None
        entries.append(
            pages.Entry(pages.title(notebook, source.stem), status, elapsed, verdict, page)
        )
    pages.write_index(folder / "index.html", folder.name, entries)


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
    """Run `jobs` in order into `folder`, skipping what is done; stem → record of each."""
    folder.mkdir(parents=True, exist_ok=True)
    state, results = read_state(folder), {}
    for job in jobs:
        inputs, record = fingerprint(job), state.get(job.stem, {})
        same = record.get("status") == "done" and record.get("inputs") == inputs
        if same and not fresh and _output(folder, job.stem, "done").exists():
            results[job.stem] = {**record, "status": "skipped"}
            print(f"{job.stem}: skipped, done before from the same inputs (--fresh runs it again)")
            continue
        record = {**execute(job, folder), "inputs": inputs}
        results[job.stem] = state[job.stem] = record
        print(f"{job.stem}: {record['status']} in {clock(record['seconds'])}", flush=True)
        files.write_text(folder / "state.json", json.dumps(state, indent=1) + "\n")
        if (executed := _output(folder, job.stem, record["status"])).exists():
            pages.write_page(executed, folder / f"{job.stem}.html")
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
        except ValueError as problem:
            raise ValueError(f"{path.name}: {problem}") from None
    wanted = args.only or [""]
    for part in wanted:
        if not any(stem.startswith(part) for stem in defaults):
            raise ValueError(f"no notebook {part!r}; known: {', '.join(defaults)}")
    selected = [path for path in notebooks if path.stem.startswith(tuple(wanted))]
    overrides = {name: yaml.safe_load(value) for name, value in args.overrides}
    resolved = resolve(profile, defaults, overrides, [path.stem for path in selected])
    return notebooks, [Job(path, resolved[path.stem]) for path in selected]


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Exit status: 0 all done, 1 a notebook failed, 2 wrong arguments, 130 interrupted."""
    parser, args = _arguments(argv)
    try:
        notebooks, jobs = plan(root, args)
    except (ValueError, FileNotFoundError, yaml.YAMLError) as problem:
        parser.error(str(problem))
    if args.list:
        for job in jobs:
            print(job.stem, *(f"{k}={v!r}" for k, v in job.parameters.items()), sep="  ")
        return 0
    # A kernel of the same name in the user's own folder must not take this interpreter's place.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    folder = root / "runs" / args.profile
    try:
        results = run(jobs, folder, notebooks, args.fresh)
    except KeyboardInterrupt:
        print("\ninterrupted; notebooks already done are kept, the same command goes on from there")
        return 130
    print(_summary(results))
    print(f"\npages: {folder / 'index.html'}")
    return int(any(record["status"] == "failed" for record in results.values()))


if __name__ == "__main__":
    sys.exit(main())
