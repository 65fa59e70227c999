"""Put an atlas on the model hub, for readers with epkit and for readers with SAELens.

    layer20_p1/layer20_p1.safetensors    the dictionary, with everything
    layer20_p1/sae_weights.safetensors   its exemplars and centre, as SAELens reads them
    layer20_p1/cfg.json
    README.md                            the model card, written from the metadata
    epkit.json                           SHA-256 of every other file

Does not know: how an atlas is made.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import huggingface_hub

from epkit import checks
from epkit.atlas import Atlas, file_name, save_atlas
from epkit.dictionary import Dictionary
from epkit.files import write_text
from epkit.share.hub import FORMAT, INDEX, REPOSITORY, checksum
from epkit.share.saelens import save_saelens


def push(
    atlas: Atlas,
    repo: str,
    *,
    private: bool = False,
    message: str = "Exemplar Partitioning dictionaries",
) -> str:
    """Upload an atlas to a model repository, which is made where there is none.

    Dictionaries that an earlier push left there go; other files stay. The dictionaries' members
    hold the tokens of the texts they were built on, and go with them: push no atlas of texts that
    are not to be read by others.

    Parameters
    ----------
    atlas : of `epkit.build` or `load_atlas`.
    repo : `user/repo`; the token in HF_TOKEN must be allowed to write there.
    private : of a repository that is made.
    message : of the commit.

    Returns
    -------
    the commit, to give as `revision` to `epkit.load_atlas`.

    Raises
    ------
    ValueError, TypeError : an atlas that `save_atlas` refuses, a name that is no `user/repo`.
    RuntimeError : the hub refuses, or cannot be reached.
    OSError : no room for a copy in the temporary folder.
    """
    if not isinstance(repo, str) or not REPOSITORY.fullmatch(repo):
        raise ValueError(f"repo must be a name such as user/repo, got {checks.shown(repo)}")
    if not isinstance(message, str) or not message.strip():
        raise ValueError(f"message must be a text, got {checks.shown(message)}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_repository(atlas, folder, repo)
        try:
            api = huggingface_hub.HfApi()
            api.create_repo(repo, private=bool(private), exist_ok=True)
            done = api.upload_folder(
                repo_id=repo, folder_path=folder, commit_message=message,
                delete_patterns=["layer*_p*/*"],
            )  # fmt: skip
        except Exception as error:  # the hub's libraries raise a dozen unrelated types
            status = getattr(getattr(error, "response", None), "status_code", None)
            why = type(error).__name__ + (f", status {status}" if status else "")
            raise RuntimeError(
                f"{repo} cannot be written ({why}): check the network and that the token in "
                "HF_TOKEN may write there"
            ) from error
    return done.oid


def write_repository(atlas: Atlas, folder: Path, repo: str) -> None:
    """The files of a repository, into an empty folder."""
    for path in save_atlas(atlas, folder):
        path.rename(_made(folder / path.stem) / path.name)
    for (layer, p), d in atlas.items():
        home = folder / Path(file_name(layer, p)).stem
        save_saelens(d, home, hook_name=f"blocks.{layer}.hook_resid_post")
    write_text(folder / "README.md", model_card(atlas, repo))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): checksum(path) for path in files}
    write_text(folder / INDEX, json.dumps({"format": FORMAT, "files": sums}, indent=1) + "\n")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


_ABOUT = {
    "model": "model", "revision": "revision of the model", "weights": "weights", "dtype": "dtype",
    "corpus": "texts", "split": "split", "source": "source of the texts", "positions": "positions",
    "context": "context", "n_activations": "activations", "n_calibration": "of them calibrated",
    "seed": "seed", "control": "control", "control_seed": "seed of the control",
}  # fmt: skip


def model_card(atlas: Atlas, repo: str) -> str:
    """The README of a repository, of what the dictionaries' metadata say."""
    about = next(iter(atlas.values())).metadata
    model = about.get("model")
    head = ["---", "library_name: saelens", "tags:", "- exemplar-partitioning"]
    if isinstance(model, str) and REPOSITORY.fullmatch(model):
        head.append(f"base_model: {model}")
    facts = [f"| {says} | {_cell(about[k])} |" for k, says in _ABOUT.items() if about.get(k)]
    rows = [_row(layer, p, d) for (layer, p), d in atlas.items()]
    (layer, p), *_ = atlas
    example = Path(file_name(layer, p)).stem
    return "\n".join([
        *head, "---", "", f"# Exemplar Partitioning of {_cell(model or 'a language model')}", "",
        "Dictionaries of regions of residual-stream activations: each region is the activations "
        "nearest to one observed direction, its exemplar (Rumbelow 2026, arXiv:2605.14347).", "",
        "| | |", "|---|---|", *facts, "",
        "| folder | layer | percentile | θ | K | members | mean coherence |",
        "|---|---|---|---|---|---|---|", *rows, "",
        "## With epkit", "", "```python", "import epkit",
        f'atlas = epkit.load_atlas("{repo}")',
        f"region, distance = atlas[{layer}, {_shortest(p)}].assign(x)  # x: (N, D) activations",
        "```", "",
        "## With SAELens", "", "```python", "from sae_lens import SAE",
        f'sae = SAE.from_pretrained("{repo}", "{example}")',
        "region = sae.encode(x).argmax(-1)", "```", "",
        "The largest latent is the nearest exemplar for every activation at cosine distance below "
        "1 of it; farther ones encode to zeros.", "",
        "## Controls", "",
        "Exemplars say where activations lie, not that they are better than others. "
        "Compare any result with as many random exemplars of the same activations "
        "(`epkit.random_dictionary`) and with another stream order before reading much into it.",
        "", "The dictionaries' members hold tokens of the texts, which keep their own licences. "
        f"`{INDEX}` has the SHA-256 of every file; `epkit.load_atlas` checks it.", "",
    ])  # fmt: skip


def _row(layer: int, p: float, d: Dictionary) -> str:
    name = Path(file_name(layer, p)).stem
    return (
        f"| {name} | {layer} | {_shortest(p)} | {d.threshold:.4f} | {len(d):,} | {d.n:,} | "
        f"{float(d.coherence.mean()):.3f} |"
    )


def _shortest(p: float) -> str:
    return f"{int(p)}" if float(p).is_integer() else repr(float(p))


def _cell(value: object) -> str:
    """A value as text that Markdown takes for nothing else."""
    text = f"{value:,}" if type(value) is int else " ".join(str(value).split())
    return re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", text[:200])
