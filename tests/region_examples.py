"""Dictionaries with members for the tests of cards, explorer and page: synthetic and built."""

from html.parser import HTMLParser

import torch
import torch.nn.functional as F
from tiny_models import tiny_llama, tiny_tokenizer
from tokenizers import AddedToken

from epkit.build import build
from epkit.dictionary import Dictionary
from epkit.members import KEPT, Members

IMAGE = "<img src=x onerror=document.title='hacked'>"
SCRIPT = "</script><script>document.title='hacked'</script>"
BOX = "<textarea>"
LOAD = "</textarea><svg onload=document.title='hacked'>"
HOSTILE = [IMAGE, SCRIPT, BOX, LOAD, "<!--", "\u202etxt", "\x1b[2J", "\x00nul", "{{data}}", "\"'&"]
LONG = "long " + "x" * 30_000
WORDS = ["<bos>", *(f" word{i}" for i in range(60)), "\n", "\t", *HOSTILE]


class Elements(HTMLParser):
    """Tags with attributes, and the text of a page outside its style sheet."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self._style = set(), [], "", False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self._style = tag == "style"

    def handle_data(self, data):
        if not self._style:
            self.text += data

    def handle_endtag(self, tag):
        self._style = False


class WordTokenizer:
    """Ids are places in a list of words."""

    bos_token_id = 0

    def __init__(self, words=WORDS):
        self.words = list(words)

    def batch_decode(self, rows, **_):
        return ["".join(self.words[i] for i in row) for row in rows]

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)

    def convert_ids_to_tokens(self, ids):
        return [self.words[i] for i in ids]


def example_dictionary(k=40, n=4000, dim=16, seed=0, window=50):
    """K regions with drawn directions, counts and members over a stream of random words."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, len(WORDS), (n // (window - 1), window), generator=g).int()
    tokens[:, 0] = 0
    clustered = torch.ones_like(tokens, dtype=torch.bool)
    clustered[:, 0] = False
    n = int(clustered.sum())
    exemplars = F.normalize(torch.randn(k, dim, generator=g), dim=1)
    counts = torch.randint(1, max(2, 2 * n // k), (k,), generator=g)
    founded = torch.randperm(n, generator=g)[:k].sort().values
    kept = torch.arange(KEPT) < counts[:, None]
    parts = []
    for sign in (1, -1, 0):
        index = torch.randint(0, n, (k, KEPT), generator=g)
        gap = torch.rand(k, KEPT, generator=g) * 0.6
        if sign:
            gap = (gap * sign).sort(dim=1).values * sign
        parts += [torch.where(kept, index, -1), torch.where(kept, gap, torch.nan)]
    lengths = torch.full((len(tokens),), window, dtype=torch.int32)
    return Dictionary(
        torch.zeros(dim), 0.6, exemplars, exemplars.clone(), counts,
        torch.rand(k, generator=g), founded, torch.full((k,), 0.3), torch.full((k,), 0.1),
        {"layer": 1, "percentile": 1, "model": "<b>words</b>"},
        Members(tokens.flatten(), lengths, clustered.flatten(), *parts),
    )  # fmt: skip


def hostile_tokenizer():
    """The byte tokenizer with tokens that would run a script where they are read as HTML."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in (IMAGE, SCRIPT)])
    return tokenizer


TEXTS = [
    f"The cat {i} sat on the mat.\nIt{IMAGE}was {i * 7} in Paris{SCRIPT} and the end." * 2
    for i in range(12)
]


def built_atlas(layers=(1, 2), percentiles=(1, 5)):
    """(model, atlas, stream texts) of a tiny model on texts with hostile tokens."""
    model = tiny_llama(hostile_tokenizer())
    atlas = build(
        model, TEXTS, list(layers), list(percentiles), 900, n_calibration=500, context=64,
        checkpoint=False, keep=False, show_progress=False,
    )  # fmt: skip
    return model, atlas
