"""Where the suite keeps between runs what takes long to make."""

import os
from pathlib import Path

import platformdirs

__all__ = ["suite_cache"]


def suite_cache():
    """Return the directory that the suite keeps between runs what takes long to make."""
    chosen = os.environ.get("MIRI_BACKGROUND_CACHE")
    if chosen:
        return Path(chosen)
    return platformdirs.user_cache_path("miri-background-validation")
