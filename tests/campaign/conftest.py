"""Scenes without any source: nothing of the optics has to be computed for them."""

import pytest

from miri_background.campaign.scene import Scene
from miri_background.campaign.taken import take

EMPTY = {"target": "none", "source_density": 0, "size": 96, "groups": 10, "exposures": 3}


@pytest.fixture(scope="session")
def empty_scene():
    """Return a function that gives a small scene of empty sky."""

    def create(**changes):
        return Scene.create(**EMPTY | changes)

    return create


@pytest.fixture(scope="session")
def empty_sky(empty_scene):
    """Return the rates of a scene of empty sky with a pattern."""
    return take(empty_scene())
