"""Other people's formats, in and out: published pickles, SAELens folders, the model hub."""

from epkit.share.published import read_published

__all__ = ["read_published"]
