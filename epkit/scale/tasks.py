"""Independent calls as Ray tasks, each with the processors, GPUs and memory that it asks for.

Ray puts a task where its needs are free and starts it again, elsewhere if it must, when its worker
or its machine is lost. What a call leaves behind it leaves in files, on storage that all machines
share.

Does not know: what is called.
"""

from collections.abc import Callable, Iterator, Sequence

from epkit.scale.connection import connected, ray


def run_tasks(
    function: Callable[..., object],
    calls: Sequence[tuple],
    *,
    cpus: float = 1,
    gpus: float = 0,
    memory: float = 0,
    attempts: int = 3,
) -> Iterator[tuple[int, str]]:
    """Make all calls; number and error of each, "" where there is none, in the order they end.

    Parameters
    ----------
    function : importable in the workers.
    calls : arguments of each.
    cpus, gpus, memory : that one call needs; memory in bytes.
    attempts : times that a call is made at most when workers are lost. A call that raises is not
        made again.

    Raises
    ------
    ValueError : no machine of the cluster has what one call needs.
    """
    with connected():
        needs = {"CPU": cpus, "GPU": gpus, "memory": memory}
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(m.get(n, 0) >= need for n, need in needs.items()) for m in machines):
            most = {n: max(m.get(n, 0) for m in machines) for n in needs}
            raise ValueError(
                f"each run needs {_shown(needs)}, and no machine of the Ray cluster has that (at "
                f"most {_shown(most)}): ask for less"
            )
        task = ray.remote(
            num_cpus=cpus, num_gpus=gpus, memory=memory or None, max_retries=attempts - 1
        )(function)
        running = {task.remote(*call): i for i, call in enumerate(calls)}
        while running:
            (ended,), _ = ray.wait(list(running))
            yield running.pop(ended), _error(ended)


def _error(ended: object) -> str:
    try:
        ray.get(ended)
    except ray.exceptions.RayTaskError as error:
        return f"{type(error.cause).__name__}: {error.cause}".split("\n")[0]
    except ray.exceptions.RayError as error:
        said = str(error).strip().split("\n")[0]
        return f"its worker was lost again and again ({type(error).__name__}: {said})"
    return ""


def _shown(resources: dict[str, float]) -> str:
    gigabytes = resources["memory"] / 1e9
    return f"{resources['CPU']:g} CPUs, {resources['GPU']:g} GPUs and {gigabytes:.1f} GB of memory"
