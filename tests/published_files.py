"""Files in the author's format of any size, written with classes of the published names."""

import contextlib
import pickle
import sys
import types

import numpy as np

HOME = "ep.discovery.dictionary"


@contextlib.contextmanager
def published_classes(home=HOME):
    """The two classes as importable as pickle demands, while a file is written or read."""
    made = {
        name: type(name, (), {"__module__": home, "__qualname__": name})
        for name in ("Dictionary", "Partition")
    }
    parts = home.split(".")
    names = [".".join(parts[: i + 1]) for i in range(len(parts))]
    parents = {name: types.ModuleType(name) for name in names}
    vars(parents[home]).update(made)
    sys.modules.update(parents)
    try:
        yield made["Dictionary"], made["Partition"]
    finally:
        for name in parents:
            del sys.modules[name]


def write_published(path, k, dim, *, kept=20, seed=0, text="some words of a member", protocol=4):
    """A dictionary of k regions of width dim, each with `kept` members' directions and texts.

    Returns the bytes of its arrays.
    """
    rng = np.random.default_rng(seed)
    total = 0

    def unit(*shape):
        nonlocal total
        x = rng.standard_normal(shape, dtype=np.float32)
        total += x.nbytes
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    with published_classes() as (dictionary, partition):
        exemplars, rows = unit(k + k // 4, dim), []
        for i in range(k):
            row = partition()
            n = int(rng.integers(1, 500))
            vars(row).update(
                member_count=n, exemplar_direction=exemplars[i].copy(),
                mean_member_direction=unit(dim), member_coherence=0.5,
                sum_dist_to_exemplar=0.5 * n, sum_sq_dist_to_exemplar=0.3 * n,
                source_iterations={0, 1}, constituent_sample_indices=[3 * i, 3 * i + 1],
                sample_prompts=[(-0.1 * j, f"{text} {i} {j}", j) for j in range(min(kept, 10))],
                boundary_prompts=[(0.6, f"{text} {i}", 1)],
                sample_members=[unit(dim) for _ in range(kept)], label=f"label {i}",
            )  # fmt: skip
            total += exemplars[i].nbytes
            rows.append(row)
        top = dictionary()
        vars(top).update(
            center=unit(dim), threshold=0.7, merge_close=False, partitions=rows,
            _last_batch_new_partition_rate=0.0, _exemplars=exemplars,
            _exemplars_capacity=len(exemplars),
        )  # fmt: skip
        with open(path, "wb") as file:
            pickle.dump(top, file, protocol)
    return total
