"""All regions of a dictionary as one page: a map, a list to search, a card for each, in one file.

The page fetches nothing. Its data are one block of JSON in which no character can end the block;
its script puts texts on the page as text, never as HTML; a content security policy allows that one
script (by its hash) and no connection.

Does not know: what is in the data (`page_data`), what the script does with it (`assets/page`).
"""

import base64
import hashlib
import json
import os
from pathlib import Path

from IPython.display import Markdown

from epkit import files
from epkit.checks import whole
from epkit.dictionary import Dictionary
from epkit.inspect.card import STYLE
from epkit.inspect.page_data import page_data
from epkit.inspect.regions import Regions
from epkit.lm.lens import LogitLens
from epkit.lm.store import ActivationSet
from epkit.lm.text import LONGEST, as_html
from epkit.members import KEPT

ASSETS = Path(__file__).parent / "assets" / "page"

SCRIPTS = ("base", "search", "list", "map", "histogram", "card", "keep", "start")
"""Parts of the page's one script, in their order."""


def export_html(
    dictionary: Dictionary,
    path: str | os.PathLike,
    model_or_tokenizer,
    *,
    lens: LogitLens | None = None,
    activations: ActivationSet | None = None,
    contexts: int = 5,
    show_progress: bool = True,
) -> Path:
    """Write a page with all regions of a dictionary. Returns its path.

    Parameters
    ----------
    dictionary, model_or_tokenizer, lens, activations : as for `Regions`. Given a model and no
        activations, every window that holds a shown member is run through the model once; given
        only a tokenizer, the page has no colour.
    path : of the file, which is written beside and moved into place.
    contexts : members of each kind shown for a region, 1 … 8.

    Raises
    ------
    ValueError : contexts out of range, or whatever `Regions` raises.
    """
    contexts = whole("contexts", contexts, 1, KEPT)
    regions = Regions(dictionary, model_or_tokenizer, lens=lens, activations=activations)
    page = _page(page_data(regions, contexts, show_progress), regions)
    path = Path(path)
    files.write_text(path, page)
    return path


def page_link(path: str | os.PathLike, text: str) -> Markdown:
    """A link to a page, to be displayed by the notebook that wrote it.

    In a run the notebook's own page stands in the same folder, so its name is enough.
    """
    path = Path(path)
    beside = os.environ.get(files.PAGES) and path.parent == files.pages_dir()
    return Markdown(f"[{text}](<{path.name if beside else path.as_posix()}>)")


# ---- the page -----------------------------------------------------------------------------------


def _page(data: dict, regions: Regions) -> str:
    parts = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = "\n".join(parts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    filling = {
        "title": as_html(_title(regions.dictionary), LONGEST),
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
        "style": STYLE + (ASSETS / "page.css").read_text(encoding="utf-8"),
        "data": _inert(json.dumps(data, separators=(",", ":"), ensure_ascii=False)),
        "script": script,
    }
    before, *rest = (ASSETS / "page.html").read_text(encoding="utf-8").split("{{")
    # In one pass, so that nothing inside a part is taken for a place to fill.
    filled = [f"{filling[name]}{tail}" for name, tail in (piece.split("}}", 1) for piece in rest)]
    return before + "".join(filled)


def _inert(text: str) -> str:
    """JSON that cannot end a script element or open a comment in it."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(d: Dictionary) -> str:
    about = d.metadata
    named = [f"{k} {about[k]}" for k in ("layer", "percentile", "corpus") if k in about]
    return ", ".join([str(about.get("model", "dictionary")), *named])
