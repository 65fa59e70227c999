"""Other people's formats, in and out: published pickles, SAELens folders, plain files, the hub."""

from epkit.share.plain import save_cards, save_vectors
from epkit.share.published import read_published
from epkit.share.push import push
from epkit.share.saelens import save_saelens

__all__ = ["push", "read_published", "save_cards", "save_saelens", "save_vectors"]
