"""Other people's formats, in and out: published pickles, SAELens folders, the model hub."""

from epkit.share.published import read_published
from epkit.share.saelens import save_saelens

__all__ = ["read_published", "save_saelens"]
