"""epkit: Exemplar Partitioning of language-model activations, in notebooks.

The method is here at once and needs torch and numpy alone. What needs a model library, a widget or
a plot is imported when it is first asked for (PEP 562).
"""

import importlib

from epkit.atlas import load_atlas, save_atlas
from epkit.build import build, build_from
from epkit.calibration import Calibration, calibrate
from epkit.clustering import LeaderClustering
from epkit.controls import random_dictionary
from epkit.dictionary import Dictionary
from epkit.interventions import ablate, steer
from epkit.members import Members
from epkit.partition import partition, percentile_for

_LATER = {
    "ActivationSet": "epkit.lm.store",
    "ActivationStream": "epkit.lm.activations",
    "Chunk": "epkit.lm.chunks",
    "Corpus": "epkit.lm.corpora",
    "LanguageModel": "epkit.lm.models",
    "OODMonitor": "epkit.monitor",
    "RegionExplorer": "epkit.inspect.explorer",
    "Regions": "epkit.inspect.regions",
    "cached": "epkit.lm.store",
    "export_html": "epkit.inspect.page",
    "generate": "epkit.lm.generate",
    "load_corpus": "epkit.lm.corpora",
    "load_model": "epkit.lm.models",
    "logit_lens": "epkit.lm.lens",
    "match": "epkit.matching",
    "trace_prompt": "epkit.lm.trace",
}
_MODULES = ("plots", "readouts", "scale")

__all__ = [
    "Calibration",
    "Dictionary",
    "LeaderClustering",
    "Members",
    "ablate",
    "build",
    "build_from",
    "calibrate",
    "load_atlas",
    "partition",
    "percentile_for",
    "random_dictionary",
    "save_atlas",
    "steer",
    *_LATER,
    *_MODULES,
]


def __getattr__(name: str):
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"epkit.{name}")
    else:
        raise AttributeError(f"module 'epkit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
