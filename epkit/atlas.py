"""An atlas: the dictionaries of one build by layer and percentile, and the folder that keeps them.

One file a dictionary, `layer<L>_p<p>.safetensors`, with every digit of p. An atlas is of one model,
one stream, one seed and one length; a folder that holds anything else is refused.

Does not know: how dictionaries are made.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.files import cache_dir, remove_folder, whole_folder
from epkit.lm.room import make_room, touch

Atlas = dict[tuple[int, float], Dictionary]
"""Dictionaries by (layer, percentile)."""

SAME = ("model", "revision", "dtype", "stream", "seed", "n_activations", "saturation_window")
"""Metadata in which the dictionaries of an atlas agree; `n_calibration` where it is the build's."""

_NAME = re.compile(r"layer(\d+)_p(.+)\.safetensors")


def save_atlas(atlas: Atlas, folder: str | os.PathLike, *, replace: bool = False) -> list[Path]:
    """Save every dictionary as `folder/layer<L>_p<p>.safetensors`.

    Parameters
    ----------
    replace : let the dictionaries that are in the folder go, with a line; else they are refused.

    Returns
    -------
    Paths, in the order of the atlas.

    Raises
    ------
    ValueError : an empty atlas, or a mixture; a folder that holds other dictionaries.
    OSError : it cannot be written.
    """
    if not isinstance(atlas, dict) or not atlas:
        raise ValueError("the atlas is empty: give what epkit.build returns")
    folder = Path(folder)
    paths = {folder / file_name(layer, p): d for (layer, p), d in atlas.items()}
    _check_one(paths)
    others = [path for path in _files(folder) if path not in paths or _differs(path, paths[path])]
    if others and not replace:
        raise ValueError(
            f"{folder} holds other dictionaries ({others[0].name}"
            f"{f' and {len(others) - 1} more' if others[1:] else ''}): choose an empty folder, or "
            "give replace=True to let them go"
        )
    if others:
        print(f"{folder}: {len(others)} other dictionaries replaced or removed")
    for path, d in paths.items():
        d.save(path)
    for path in others:
        if path not in paths:
            path.unlink(missing_ok=True)
    return list(paths)


def load_atlas(folder: str | os.PathLike, *, revision: str | None = None) -> Atlas:
    """The dictionaries `save_atlas` wrote, or `share.push` on the hub, by layer and percentile.

    Parameters
    ----------
    folder : a folder here, or `user/repo` of a model repository on the hub. Its files are compared
        with their checksums, and nothing of it is run.
    revision : branch, tag or commit of the repository.

    Raises
    ------
    FileNotFoundError : the folder holds none; no such repository or revision.
    ValueError : one is damaged, or misnamed, or they are not all of one model, stream, seed and
        length; a revision of a folder here.
    RuntimeError : the hub cannot be reached, or the repository is gated.
    """
    here = isinstance(folder, os.PathLike) or Path(folder).exists()
    if not here and re.fullmatch(r"[\w.-]+/[\w.-]+", folder):
        from epkit.share.hub import fetch_atlas

        files = fetch_atlas(folder, revision)
    elif revision is not None:
        raise ValueError(f"a revision is of a hub repository user/repo, {folder} is none")
    else:
        files = _files(Path(folder))
    paths = {path: Dictionary.load(path) for path in files}
    if not paths:
        raise FileNotFoundError(f"no dictionaries in {folder}; run notebook 01_build first")
    _check_one(paths)
    return dict(sorted((_key(path), d) for path, d in paths.items()))


def file_name(layer: int, p: float) -> str:
    """`layer20_p1.safetensors`: every digit of p, and 1.0 as 1."""
    p = float(p)
    return f"layer{whole('layer', layer)}_p{int(p) if p.is_integer() else repr(p)}.safetensors"


def _key(path: Path) -> tuple[int, float]:
    layer, p = _NAME.fullmatch(path.name).groups()
    p = float(p)
    return int(layer), int(p) if p.is_integer() else p


def _files(folder: Path) -> list[Path]:
    """The dictionary files in a folder; other files are none of ours."""
    found = []
    for path in sorted(folder.glob("layer*_p*.safetensors")):
        try:
            if path.is_file() and file_name(*_key(path)) == path.name:
                found.append(path)
        except (ValueError, AttributeError, OverflowError):
            continue
    return found


def _check_one(paths: dict[Path, Dictionary]) -> None:
    """ValueError unless all are of one build, and each is what its file's name says."""
    first_path, first = next(iter(paths.items()))
    for path, d in paths.items():
        for name, named in zip(("layer", "percentile"), _key(path), strict=True):
            if d.metadata.get(name, named) != named:
                raise ValueError(
                    f"{path} holds the dictionary of {name} {d.metadata[name]}: give it its name"
                )
        for name in _compared(first):
            one, other = first.metadata.get(name), d.metadata.get(name)
            if one != other:
                raise ValueError(
                    f"{first_path.parent} mixes dictionaries: {first_path.name} has {name} "
                    f"{_short(one)}, {path.name} has {_short(other)}; keep each atlas in a folder "
                    "of its own"
                )


def _compared(d: Dictionary) -> list[str]:
    return [*SAME, *([] if d.metadata.get("calibration") == "given" else ["n_calibration"])]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def _differs(path: Path, d: Dictionary) -> bool:
    """Whether a file of the same name is of another build; a damaged one is nobody's loss."""
    try:
        old = Dictionary.load(path).metadata
    except ValueError:
        return False
    return any(old.get(name) != d.metadata.get(name) for name in (*SAME, "n_calibration"))


# ---- kept under the key of their build ----------------------------------------------------------


def keep(key: str, atlas: Atlas) -> None:
    """Keep an atlas in the cache; where that cannot be, a line says so and nothing else happens."""
    held = [x for d in atlas.values() for x in (d, d.members) if x is not None]
    size = sum(t.nbytes for x in held for t in vars(x).values() if isinstance(t, Tensor))
    try:
        if not make_room(size):
            print(f"the atlas is not kept: its {size / 1e9:.2g} GB are above EPKIT_CACHE_GB")
            return
        with whole_folder(_home(key), size) as folder:
            for (layer, p), d in atlas.items():
                d.save(folder / file_name(layer, p))
    except OSError as error:
        print(f"the atlas is not kept ({error.strerror or error})")


def kept(key: str, wanted: Sequence[tuple[int, float]], **metadata: object) -> Atlas | None:
    """The atlas kept under a key, in the order wanted; None, with a line, where it is not sound."""
    folder = _home(key)
    try:
        if not folder.is_dir():
            return None
        atlas = load_atlas(folder)
        if set(atlas) != set(wanted):
            raise ValueError("it holds other layers or percentiles")
        for d in atlas.values():
            if d.members is None or any(d.metadata.get(k) != v for k, v in metadata.items()):
                raise ValueError("it is of another build")
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError) as error:
        print(f"the kept atlas cannot be used, building again: {error}")
        remove_folder(folder)
        return None
    except OSError as error:
        print(f"the kept atlas cannot be read, building again: {error}")
        return None
    touch(folder)
    return {key: atlas[key] for key in wanted}


def _home(key: str) -> Path:
    return cache_dir() / "atlases" / key
