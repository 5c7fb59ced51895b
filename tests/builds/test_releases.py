"""What the package index knows of releases, and what is installed with them."""

from datetime import date

import pytest

from miri_background.builds.environments import environment_of
from miri_background.builds.interpreters import in_words, interpreters
from miri_background.builds.releases import release_of
from miri_background.builds.uv import Answer, NoEnvironment


@pytest.mark.usefixtures("dated_index")
def test_release_has_the_date_of_its_files(home):
    """It is that of the upload."""
    assert release_of("1.2.3", home).released == date(2024, 1, 10)


@pytest.mark.usefixtures("dated_index")
def test_release_is_installed_with_what_there_was_then(home):
    """Of what it needs, and of setuptools that old releases take for granted, no later ones."""
    made = environment_of("1.2.3", home)
    assert made.packages == {"jwst": "1.2.3", "needed": "1.0", "setuptools": "1.0"}
    assert made.stamp["dated"] == "2024-01-17"


@pytest.mark.usefixtures("dated_index")
def test_later_release_is_installed_with_later_packages(home):
    """And without setuptools, which later releases require themselves."""
    made = environment_of("1.6.0", home)
    assert made.packages == {"jwst": "1.6.0", "needed": "2.0"}


@pytest.mark.usefixtures("wheels")
def test_place_without_dates_has_releases_without(home):
    """A directory of wheels tells no dates, and is used all the same."""
    release = release_of("1.2.3", home)
    assert release.released is None
    assert interpreters(home)[0].minor in release.pythons


@pytest.mark.usefixtures("wheels")
def test_missing_python_is_said_with_those_that_are_there(home):
    """A release whose wheels are for another Python cannot be installed."""
    there = in_words(each.minor for each in interpreters(home))
    with pytest.raises(NoEnvironment, match=rf"wants Python 3\.99, and uv finds {there}: install"):
        environment_of("1.4.0", home)


@pytest.mark.usefixtures("wheels")
def test_unknown_version_is_said_with_its_neighbours(home):
    """The nearest older and newer one."""
    with pytest.raises(NoEnvironment, match=r"no release 1\.3 of jwst: .* 1\.2\.3 and 1\.4\.0\.$"):
        release_of("1.3", home)


@pytest.mark.usefixtures("wheels")
def test_version_beyond_the_last_has_one_neighbour(home):
    """There is none above."""
    with pytest.raises(NoEnvironment, match=r"the nearest is 1\.5\.0\.$"):
        release_of("99.0", home)


def test_text_that_is_no_version_is_refused(home):
    """Without asking anybody."""
    with pytest.raises(NoEnvironment, match="'new' is no version"):
        environment_of("new", home)


def test_no_index_is_no_unknown_version(home, monkeypatch):
    """Nobody answers at this address."""
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(NoEnvironment, match=r"index cannot be asked .*refused"):
        environment_of("1.2.3", home)


def test_index_without_jwst_is_said(home):
    """Such as a mirror of a part."""
    with pytest.raises(NoEnvironment, match="no release of jwst at all"):
        environment_of("1.2.3", home)


def test_newest_patch_of_each_minor_is_listed(home):
    """Newest first; each one is a program."""
    found = interpreters(home)
    minors = [each.minor for each in found]
    assert minors == sorted(set(minors), reverse=True)
    assert all(each.path.is_file() for each in found)


@pytest.mark.parametrize(
    ("minors", "words"),
    [
        ([(3, 9), (3, 8), (3, 10)], "3.8 to 3.10"),
        ([(3, 8), (3, 11)], "3.8, 3.11"),
        ([(3, 11)], "3.11"),
        ([], "none"),
    ],
)
def test_versions_in_words(minors, words):
    """A gap is not covered by a range."""
    assert in_words(minors) == words


UNSOLVED = """\
warning: old
error: No solution found
  cause: Because a needs b
         And because c, no.

hint: Try d.
"""
NOT_BUILT = """\
error: Failed to build `a`
  cause: The build backend returned an error
  cause: Call to `build` failed

         [stdout]
         x
         [stderr]
         y
         gcc: not found
"""


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (UNSOLVED, "Because a needs b And because c, no"),
        (NOT_BUILT, "gcc: not found"),
        ("error: Failed to fetch\n  cause: outer\n  cause: refused\n", "refused"),
        ("", "exit code 2"),
        ("error: " + "x" * 500, "x" * 300 + "…"),
    ],
)
def test_reason_is_the_innermost_cause(messages, reason):
    """Of what uv writes over many lines, a part of a sentence."""
    assert Answer(2, "", messages).reason == reason
