"""epkit: Exemplar Partitioning of language-model activations, in notebooks."""

from epkit.activations import ActivationStream, Chunk
from epkit.build import build, build_from, load_atlas, save_atlas
from epkit.cache import ActivationSet, cached
from epkit.calibration import Calibration, calibrate
from epkit.clustering import LeaderClustering
from epkit.corpora import Corpus, load_corpus
from epkit.dictionary import Dictionary
from epkit.export import export_html
from epkit.lens import logit_lens
from epkit.members import Members
from epkit.models import LanguageModel, load_model
from epkit.ood import OODMonitor
from epkit.regions import inspect
from epkit.trace import trace_prompt
from epkit.widgets import RegionExplorer

__all__ = [
    "ActivationSet",
    "ActivationStream",
    "Calibration",
    "Chunk",
    "Corpus",
    "Dictionary",
    "LanguageModel",
    "LeaderClustering",
    "Members",
    "OODMonitor",
    "RegionExplorer",
    "build",
    "build_from",
    "cached",
    "calibrate",
    "export_html",
    "inspect",
    "load_atlas",
    "load_corpus",
    "load_model",
    "logit_lens",
    "save_atlas",
    "trace_prompt",
]
