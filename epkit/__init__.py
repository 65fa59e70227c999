"""epkit: Exemplar Partitioning of language-model activations, in notebooks."""

from epkit.activations import ActivationStream, Chunk
from epkit.build import build, build_from, load_atlas, save_atlas
from epkit.cache import ActivationSet, cached
from epkit.calibration import Calibration, calibrate
from epkit.clustering import LeaderClustering
from epkit.corpora import Corpus, load_corpus
from epkit.dictionary import Dictionary
from epkit.members import Members
from epkit.models import LanguageModel, load_model

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
    "build",
    "build_from",
    "cached",
    "calibrate",
    "load_atlas",
    "load_corpus",
    "load_model",
    "save_atlas",
]
