"""Execute numbered notebooks with papermill into one folder, which keeps a record of each.

1. papermill executes the notebooks in order, in the notebooks' folder, with this interpreter, one
   or several at a time. One that fails does not stop the later ones.
2. The folder gets `<notebook>.ipynb`, pages behind `index.html` (`runner.results`), and
   `state.json`, what was run from which inputs. A notebook that fails is kept up to the error as
   `<notebook>.failed.ipynb`, beside the good one of an earlier run. One run at a time writes there.
3. A notebook already done from the same inputs (`runner.inputs`) is skipped. The results of earlier
   notebooks are not among the inputs.

Does not know: what any notebook computes, where its parameters come from.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert.filters import strip_ansi

from epkit.files import PAGES
from epkit.runner import inputs, records, results
from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, resolve
from epkit.runner.results import clock, read_notebook, result_path

TRACEBACK_LINES = 12

# What papermill would log is in the record of each run; without a handler it goes to stderr.
logging.getLogger("papermill").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Job:
    """One notebook with the parameters it is to be run with."""

    source: Path
    parameters: Mapping[str, Any]

    @property
    def stem(self) -> str:
        return self.source.stem


def plan(
    root: Path, profile: str, only: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> tuple[list[Path], list[Job]]:
    """All notebooks, and the selected ones with their parameters; ValueError on a wrong name.

    Parameters
    ----------
    root : a checkout.
    profile : a name in its notebooks/profiles.
    only : how the names of the selected notebooks start; all where empty.
    overrides : values in the place of the profile's.
    """
    notebooks = find_notebooks(root)
    values = load_profile(root, profile)
    defaults = {}
    for path in notebooks:
        try:
            defaults[path.stem] = parameter_defaults(nbformat.read(path, as_version=4))
        except (ValueError, AttributeError) as problem:
            raise ValueError(f"{path.name}: {problem}") from problem
    wanted = tuple(only) or ("",)
    for part in wanted:
        if not any(stem.startswith(part) for stem in defaults):
            raise ValueError(f"no notebook {part!r}; known: {', '.join(defaults)}")
    selected = [path for path in notebooks if path.stem.startswith(wanted)]
    resolved = resolve(values, defaults, overrides, [path.stem for path in selected])
    return notebooks, [Job(path, resolved[path.stem]) for path in selected]


def execute(job: Job, folder: Path, live: bool = False) -> dict[str, Any]:
    """Run one notebook into `folder`; its record (status, seconds, error, traceback).

    A failure leaves what an earlier run made; a success takes an earlier failure away. `live` shows
    a bar instead of a line.
    """
    partial = folder / f".{job.stem}.partial.ipynb"
    failed = result_path(folder, job.stem, "failed")
    error, trace, start = "", "", time.monotonic()
    told = os.environ.get(PAGES)
    os.environ[PAGES] = str(folder.resolve())  # the notebook's process takes it over
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
            os.replace(partial, failed if error else result_path(folder, job.stem, "done"))
    finally:
        os.environ.pop(PAGES) if told is None else os.environ.update({PAGES: told})
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


def summary(ended: Mapping[str, Mapping[str, Any]]) -> str:
    """The table printed at the end, with the end of each failed notebook's traceback above it."""
    width = max(len(stem) for stem in ended)
    lines = []
    for stem, record in ended.items():
        if record["status"] == "failed":
            lines += ["", f"--- {stem}", record["traceback"] or record["error"]]
    lines += ["", f"{'notebook':{width}}  status   {'time':>8}"]
    for stem, record in ended.items():
        row = f"{stem:{width}}  {record['status']:7}  {clock(record['seconds']):>8}"
        lines.append(f"{row}  {record['error']}".rstrip())
    return "\n".join(lines)


def run(
    jobs: Sequence[Job],
    folder: Path,
    notebooks: Sequence[Path],
    fresh: bool = False,
    at_once: int = 1,
) -> dict[str, dict[str, Any]]:
    """Run `jobs` in order into `folder`, skipping what is done; stem → record of each.

    Parameters
    ----------
    notebooks : all that the index shows.
    fresh : run even what is done.
    at_once : how many run at a time, with a share of the cores each; each needs its own memory.

    Raises OSError where `folder` cannot be written, BlockingIOError where another run holds it.
    """
    with records.locked(folder):
        (state, damage), ended, waiting = records.read(folder), {}, {}
        if damage:
            print(damage)
        for job in jobs:
            digest, record = inputs.fingerprint(job.source, job.parameters), state.get(job.stem, {})
            same = record.get("status") == "done" and record.get("inputs") == digest
            done = result_path(folder, job.stem, "done")
            if same and not fresh and read_notebook(done) is not None:
                print(f"{job.stem}: skipped, done before from the same inputs (see --fresh)")
                ended[job.stem] = {**record, "status": "skipped"}
                results.write_result_page(folder, notebooks, done, only_old=True)
            else:
                waiting[job] = digest
        results.write_stored(folder, notebooks, state)
        results.write_index(folder, notebooks, state)
        for job, record in _executed(list(waiting), folder, at_once):
            print(f"{job.stem}: {record['status']} in {clock(record['seconds'])}", flush=True)
            ended[job.stem] = state[job.stem] = {**record, "inputs": waiting[job]}
            records.write(folder, state)
            executed = result_path(folder, job.stem, record["status"])
            results.write_result_page(folder, notebooks, executed)
            results.write_index(folder, notebooks, state)
    return {job.stem: ended[job.stem] for job in jobs}


def _executed(
    jobs: Sequence[Job], folder: Path, at_once: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Jobs and their records, as they end; several at a time run in processes of their own."""
    if at_once == 1:
        for job in jobs:
            yield job, execute(job, folder, live=sys.stderr.isatty())
        return
    threads = max(1, (os.cpu_count() or 1) // at_once)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, spawn, _with_threads, (threads,)) as pool:
        ends = {pool.submit(execute, job, folder): job for job in jobs}
        try:
            for end in as_completed(ends):
                yield ends[end], end.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _with_threads(threads: int) -> None:
    """What a process of several does first: its notebooks take that many threads."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
