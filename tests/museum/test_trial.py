"""The installed build in some cases of the museum: tried, judged, and found again."""

import json
import os
import re
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from miri_background.builds.calling import Limits
from miri_background.museum import trial as of_trial
from miri_background.museum.cases import chosen_cases
from miri_background.museum.trial import Build, Trial
from miri_background.museum.tried import Tried, TriedBuild
from miri_background.reporting.builds.page import html_page, markdown, text

pytestmark = pytest.mark.slow

# Of one small observation: what is usual, what is in none, and three ways to end.
NAMES = ("sub256", "empty-list", "step-alone", "science-among-backgrounds")
# Of one observation of two tiles: what is done wrong, and what the pipeline is to leave out.
MOSAICS = ("sky-taken-twice", "backgrounds-beside-science")
HERE = version("jwst")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the directory of trials."""
    return tmp_path_factory.mktemp("museum")


@pytest.fixture(scope="module")
def build():
    """Return the build that is installed here."""
    return Build(HERE, HERE, Path(sys.executable), "here")


@pytest.fixture(scope="module")
def tried(home, build):
    """Return a function that gives what came out of cases, by case."""
    return lambda names: {
        each.case: each for each in Trial(home).results([build], chosen_cases(names))
    }


@pytest.fixture(scope="module")
def results(tried):
    """Return what came out of calwebb_image2."""
    return tried(NAMES)


@pytest.fixture(scope="module")
def mosaics(tried):
    """Return what came out of calwebb_image3."""
    return tried(MOSAICS)


def require_known(result):
    """Require that a case came out as is known of the release that is installed."""
    (case,) = chosen_cases([result.case])
    assert result.outcome == case.known(HERE), result.sentence
    if case.finding:
        assert case.finding in result.findings


@pytest.mark.parametrize("name", NAMES)
def test_outcome_is_the_known_one(results, name):
    """Of the release that is installed."""
    require_known(results[name])


@pytest.mark.long
@pytest.mark.parametrize("name", MOSAICS)
def test_outcome_of_a_mosaic_is_the_known_one(mosaics, name):
    """The sky that both cases leave is found."""
    require_known(mosaics[name])


@pytest.mark.long
def test_mosaic_has_the_science_exposures_alone(mosaics):
    """With backgrounds beside them, it is the same: the sky that both left differs by a setting."""
    for name in MOSAICS:
        assert mosaics[name].metrics["mosaic members | whole array | None"] == 0
    assert mosaics["backgrounds-beside-science"].findings == ("sky of the mosaic",)


def test_nothing_is_tried_again(tried, results, monkeypatch):
    """A result is found by its case, its inputs and its build."""
    monkeypatch.setattr(of_trial, "RunningBuild", None)
    assert {name: each.outcome for name, each in tried(NAMES).items()} == {
        name: results[name].outcome for name in NAMES
    }


def test_damaged_result_is_tried_again(home, build):
    """What cannot be read is no result."""
    place = home / "results" / build.key / "empty-list.json"
    before = json.loads(place.read_text())
    place.write_text(place.read_text()[:100])
    (again,) = Trial(home).results([build], chosen_cases(["empty-list"]))
    assert again.outcome == before["outcome"]


def test_equal_products_are_judged_once(home, build, results, monkeypatch):
    """Another build that writes the same has the same judgement."""

    def never(*_):
        pytest.fail("the same products are judged again")

    monkeypatch.setattr("miri_background.museum.judging._judged_products", never)
    chosen = chosen_cases(["sub256"])
    both = [build, replace(build, name="other", key="other")]
    found = {each.build: each for each in Trial(home).results(both, chosen)}
    assert found["other"].products == results["sub256"].products
    assert found["other"].metrics == results["sub256"].metrics


def test_another_clipping_is_wrong(home, build):
    """What was asked for is known: nobody has told it wrongly."""
    (case,) = chosen_cases(["sub256"])
    asked = case.model_copy(update={"step": {"maxiters": 1}})
    (found,) = Trial(home).results([replace(build, key="once")], [asked])
    assert found.outcome == "wrong"
    assert "combined value" in found.sentence


def test_time_limit_is_an_outcome(home, build):
    """The call is stopped, and no directory is left."""
    slow = replace(build, name="slow", key="slow")
    (found,) = Trial(home, Limits(seconds=0.2)).results([slow], chosen_cases(["sub256"]))
    assert found.outcome == "timed out"
    assert not list(home.glob(".trying-*"))


def test_what_was_killed_is_removed(home, build, results):  # noqa: ARG001 - made before
    """Long after; another process may be at work in a newer one."""
    old, new = home / ".trying-old", home / ".trying-new"
    for path in (old, new):
        path.mkdir()
    os.utime(old, (0, 0))
    list(Trial(home).results([build], chosen_cases(["empty-list"])))
    assert (old.exists(), new.exists()) == (False, True)
    new.rmdir()


def test_images_are_kept(home, results):
    """Of what is subtracted, and of the combined background."""
    images = Trial(home).images(results["sub256"].products)
    shapes = {name: each.shape for name, each in images.items()}
    assert shapes == {
        f"{kind} {plane}": (256, 256)
        for kind in ("subtracted", "combined")
        for plane in ("data", "dq")
    }
    level = np.nanmedian(images["combined data"])
    assert level > 20 * abs(np.nanmedian(images["subtracted data"]))


def test_page_of_a_candidate(home, results):
    """Answer first, pictures of what differs, and nothing from elsewhere."""
    images = Trial(home).images
    shifted = {
        name: np.roll(each, 44, axis=1) for name, each in images(results["sub256"].products).items()
    }
    old = results["sub256"]
    new = replace(old, build="branch", outcome="wrong", sentence="44 columns off", products="x")
    builds = (TriedBuild(HERE, HERE), TriedBuild("branch", "9.9", candidate=True))
    found = {(HERE, "sub256"): old, ("branch", "sub256"): new}
    tried = Tried(builds, chosen_cases(["sub256"]), found, HERE)
    page = html_page(tried, lambda key: shifted if key == "x" else images(key))
    assert page.index("worse than before in 1 (sub256)") < page.index("All cases")
    assert page.count("data:image/png;base64,") == 3
    assert not re.findall(r"(?:href|src)=.http", page)
    assert "something is worse**" in markdown(tried)
    assert "SOMETHING IS WORSE: " in text(tried)
