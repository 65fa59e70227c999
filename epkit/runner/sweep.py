"""Notebooks with every combination of some parameters: `python -m epkit.run --sweep seeds.yaml`.

1. The file names a profile, notebooks, and for each parameter the values to be tried:

       profile: cpu
       notebooks: ["01", "05"]
       parameters: {seed: [0, 1, 2], model: [gemma-3-270m, smollm2-135m-instruct]}
       needs: {cpus: 1, gpus: 0, memory_gb: 4}
       attempts: 3

   All but `parameters` may be left out; the numbers above are the defaults.
2. Every combination is a run into a folder of its own, `runs/<file>/<combination>/`, as
   `runner.execution` makes it: what is done already from the same inputs is skipped, so the same
   command goes on where a sweep was stopped. A combination whose notebook fails stops no other.
3. They run here one after another, or (`--engine ray`) as tasks of a Ray cluster, each with what it
   needs, made again where a worker is lost (`scale.tasks`). The folder must then be on storage that
   all machines share.
4. `runs/<file>/sweep.csv` has a row for every combination and notebook: status, time, parameters,
   and the values that the last cell of the notebook, the checked one, prints as `name: value`.
   `index.html` is the same table with a link to every page.

Does not know: what a notebook computes, what a parameter means.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from nbformat import NotebookNode

from epkit import checks, files
from epkit.runner import records
from epkit.runner.execution import plan, run
from epkit.runner.frame import write_sheet
from epkit.runner.profiles import parse
from epkit.runner.results import clock, read_notebook, result_path

ENGINES = ("here", "ray")

MOST_RUNS = 10_000


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file says.

    parameters : name → values; the first name varies slowest.
    cpus, gpus, memory_gb : that one run needs (Ray).
    attempts : times that a run whose worker is lost is started at most (Ray).
    """

    name: str
    parameters: Mapping[str, Sequence[Any]]
    profile: str = "cpu"
    notebooks: Sequence[str] = ()
    cpus: float = 1
    gpus: float = 0
    memory_gb: float = 4
    attempts: int = 3

    def points(self) -> list[dict[str, Any]]:
        """Every combination of the parameters' values."""
        values = itertools.product(*self.parameters.values())
        return [dict(zip(self.parameters, point, strict=True)) for point in values]


def load_sweep(path: Path) -> Sweep:
    """A sweep's file; ValueError says what is wrong with it, OSError that it cannot be read."""
    where = f"sweep {path.name}"
    try:
        said = parse(path.read_text(encoding="utf-8"), where)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 text: {error}") from error
    known = ("profile", "notebooks", "parameters", "needs", "attempts")
    if not isinstance(said, dict) or said.keys() - set(known):
        raise ValueError(f"{where} must map {', '.join(known)}, and nothing else, to values")
    parameters, needs = said.get("parameters"), said.pop("needs", {})
    if not isinstance(parameters, dict) or not parameters:
        raise ValueError(f"{where} must map at least one parameter to a list of values")
    for name, values in parameters.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{where}: {name} must have a list of values to try, got {values!r}")
        if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
            raise ValueError(f"{where}: {name} has a value twice")
    if not isinstance(needs, dict) or needs.keys() - {"cpus", "gpus", "memory_gb"}:
        raise ValueError(f"{where}: needs may have cpus, gpus and memory_gb, got {needs!r}")
    if not isinstance(said.get("notebooks", []), list):
        raise ValueError(f"{where}: notebooks must be a list, got {said['notebooks']!r}")
    try:
        needs = {k: checks.number(k, v, 0, 1e6) for k, v in needs.items()}
        if "attempts" in said:
            checks.whole("attempts", said["attempts"], 1, 100)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    said["notebooks"] = [str(name) for name in said.get("notebooks", [])]
    sweep = Sweep(path.stem, **said, **needs)
    if (n := len(sweep.points())) > MOST_RUNS:
        raise ValueError(f"{where} has {n:,} combinations, over {MOST_RUNS:,}: cut it up")
    return sweep


def point_name(point: Mapping[str, Any]) -> str:
    """A name for a combination, to read and to name its folder: seed=0,layer=20-1f2e3d4c."""
    told = ",".join(f"{k}={v}" for k, v in point.items())
    digest = hashlib.sha256(json.dumps(point, sort_keys=True).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.,=_-]+', '_', told)[:60]}-{digest[:8]}"


def run_point(
    root: str, sweep: Sweep, point: Mapping[str, Any], folder: str, fresh: bool = False
) -> None:
    """Run the sweep's notebooks with one combination into its folder; records are kept there."""
    _, jobs = plan(Path(root), sweep.profile, sweep.notebooks, point)
    run(jobs, Path(folder), [job.source for job in jobs], fresh)


def run_sweep(
    sweep: Sweep, root: Path, engine: str = "here", fresh: bool = False
) -> tuple[Path, pd.DataFrame]:
    """Run every combination, and write the table and the page over all.

    Parameters
    ----------
    sweep : what to run.
    root : a checkout.
    engine : "here", one after another in this process, or "ray".
    fresh : run even what is done already.

    Returns
    -------
    the sweep's folder, and its table: one row a combination and notebook.

    Raises
    ------
    ValueError : a name that the profile or the notebooks do not have; needs that no machine meets.
    ModuleNotFoundError : engine "ray" without Ray.
    OSError : a folder cannot be written; BlockingIOError where another sweep holds it.
    """
    checks.one_of("engine", engine, ENGINES)
    home, points = root / "runs" / sweep.name, sweep.points()
    jobs = {
        point_name(point): plan(root, sweep.profile, sweep.notebooks, point)[1] for point in points
    }
    calls = [
        (str(root), sweep, point, str(home / name), fresh)
        for name, point in zip(jobs, points, strict=True)
    ]
    stems = [job.stem for job in next(iter(jobs.values()))]
    with records.locked(home):
        errors: dict[str, str] = {}
        for n, (i, error) in enumerate(_ended(sweep, calls, engine), start=1):
            name = list(jobs)[i]
            errors[name] = error
            print(f"[{n}/{len(calls)}] {name}: {error or 'ended'}", flush=True)
            # After every run, so that a sweep can be looked at while it goes on.
            table = _table(home, dict(zip(jobs, points, strict=True)), stems, errors)
            _write(home, sweep, table)
    return home, table


def _ended(sweep: Sweep, calls: Sequence[tuple], engine: str) -> Iterator[tuple[int, str]]:
    """Number and error of each call as it ends."""
    if engine == "ray":
        from epkit.scale.tasks import run_tasks  # Ray is an extra

        yield from run_tasks(
            run_point, calls, cpus=sweep.cpus, gpus=sweep.gpus,
            memory=sweep.memory_gb * 1e9, attempts=sweep.attempts,
        )  # fmt: skip
        return
    for i, call in enumerate(calls):
        run_point(*call)
        yield i, ""


def checked_values(notebook: NotebookNode) -> dict[str, str]:
    """Name → value of each `name: value` the last code cell prints, a line or two blanks apart."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = [
        output.text
        for output in (cells[-1].outputs if cells else [])
        if output.output_type == "stream" and output.name == "stdout"
    ]
    told = re.split(r"\n|\s{2,}", "".join(printed))
    pairs = [re.fullmatch(r"\s*([^:]{1,80}):\s+(.{1,200})", one) for one in told]
    return {pair[1]: pair[2].strip() for pair in pairs if pair}


def _table(
    home: Path,
    points: Mapping[str, Mapping[str, Any]],
    stems: Sequence[str],
    errors: Mapping[str, str],
) -> pd.DataFrame:
    rows = []
    for name, point in points.items():
        state, _ = records.read(home / name)
        for stem in stems:
            record = state.get(stem, {"status": "not run", "seconds": 0.0, "error": ""})
            status, error = record["status"], record["error"] or errors.get(name, "")
            row = {"run": name, "notebook": stem, "status": status}
            row |= {"seconds": round(record["seconds"], 1), "error": error}
            row |= {
                name: json.dumps(v) if isinstance(v, list | dict) else v
                for name, v in point.items()
            }
            if status == "done":
                notebook = read_notebook(result_path(home / name, stem, status))
                row |= checked_values(notebook) if notebook else {}
            rows.append(row)
    return pd.DataFrame(rows)


def _write(home: Path, sweep: Sweep, table: pd.DataFrame) -> None:
    files.write_text(home / "sweep.csv", table.to_csv(index=False))
    done, runs = (table.status == "done").sum(), table.run.nunique()
    rows = []
    for row in table.to_dict("records"):
        page = result_path(home / row["run"], row["notebook"], row["status"]).with_suffix(".html")
        cells = {k: "" if v != v else html.escape(str(v)) for k, v in row.items()}
        if page.exists():
            link = html.escape(quote(f"{row['run']}/{page.name}"))
            cells["notebook"] = f'<a href="{link}">{cells["notebook"]}</a>'
        cells["seconds"] = clock(row["seconds"])
        rows.append(list(cells.values()))
    columns = ["time" if name == "seconds" else name for name in table.columns]
    told = f"{done} of {len(table)} notebooks of {runs} runs done, profile {sweep.profile}."
    write_sheet(home / "index.html", f"Sweep {sweep.name}", told, columns, rows)
