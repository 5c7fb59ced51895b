"""What all tests share, those of the notebooks included."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository():
    """Return the path of the checkout."""
    return Path(__file__).resolve().parent
