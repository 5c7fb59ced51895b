"""Candidates are installed as they are, known by their state, and not touched."""

import subprocess

import pytest

from miri_background.builds.candidates import candidate_of
from miri_background.builds.environments import environment_of, environments
from miri_background.builds.uv import NoEnvironment

from .conftest import git, wheel


def state_in(environment):
    """Return the state that the package jwst of an environment says it is in."""
    code = "import jwst; print(jwst.state)"
    return subprocess.run(
        [environment.python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def content_of(directory):
    """Return all files below a directory, those of git included, with times and bytes."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


pytestmark = pytest.mark.usefixtures("wheels")


def test_checkout_is_installed_and_not_touched(checkout, home):
    """It is built elsewhere: neither files nor the index of git change."""
    before = content_of(checkout)
    made = environment_of(candidate_of(checkout), home)
    assert state_in(made) == "committed"
    assert made.packages["jwst"] == "3.1.0"
    assert content_of(checkout) == before


def test_what_is_not_committed_is_installed(checkout, home):
    """Changed files and new ones; ignored ones are no part of it."""
    (checkout / "jwst" / "__init__.py").write_text("from jwst.new import state\n")
    (checkout / "jwst" / "new.py").write_text("state = 'changed'\n")
    before = content_of(checkout)
    made = environment_of(candidate_of(checkout), home)
    assert state_in(made) == "changed"
    assert content_of(checkout) == before


def test_same_state_is_found_again(checkout, home):
    """Without a change there is one environment, whatever lies beside the sources."""
    made = environment_of(candidate_of(checkout), home)
    (checkout / "run.log").write_text("ignored")
    (checkout / "jwst" / "__init__.py").touch()
    assert environment_of(candidate_of(checkout), home) == made
    assert environments(home) == [made]


def _edited(checkout):
    (checkout / "jwst" / "__init__.py").write_text("state = 'edited'\n")


def _edited_otherwise(checkout):
    (checkout / "jwst" / "__init__.py").write_text("state = 'edited otherwise'\n")


def _added(checkout):
    (checkout / "jwst" / "näher.py").write_text("")


def _removed(checkout):
    (checkout / ".gitignore").unlink()


def _executable(checkout):
    (checkout / "backend.py").chmod(0o755)


def _link(checkout):
    (checkout / "jwst" / "link.py").symlink_to("__init__.py")


def _committed(checkout):
    _edited(checkout)
    git(checkout, "commit", "--quiet", "--all", "--message", "Go on")


CHANGES = [_edited, _edited_otherwise, _added, _removed, _executable, _link, _committed]


def test_each_state_has_a_key_of_its_own(checkout):
    """Whatever changes what would be installed."""
    keys = {candidate_of(checkout).key}
    for number, change in enumerate(CHANGES, start=2):
        change(checkout)
        keys.add(candidate_of(checkout).key)
        assert len(keys) == number, change.__name__


def test_staging_is_no_change(checkout):
    """Whether what is not committed was added to the index does not matter."""
    _edited(checkout)
    _added(checkout)
    before = candidate_of(checkout)
    git(checkout, "add", ".")
    assert candidate_of(checkout) == before


def test_commit_of_a_clone_is_installed(checkout, home):
    """A branch is not that of the checkout, which stays where it is."""
    git(checkout, "switch", "--quiet", "--create", "better")
    _committed(checkout)
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "switch", "--quiet", "main")
    before = content_of(checkout)
    wanted = candidate_of(f"{checkout}@better")
    assert wanted.source.commit == commit
    made = environment_of(wanted, home)
    assert state_in(made) == "edited"
    assert content_of(checkout) == before


def test_clean_checkout_is_the_commit_that_it_is_at(checkout):
    """So that there is one environment."""
    assert candidate_of(checkout).key == candidate_of(f"{checkout}@3.1.0").key


def test_commit_of_a_clone_that_lacks_files_is_refused(checkout, home):
    """A partial clone has commits whose files it would have to fetch."""
    blob = git(checkout, "rev-parse", "HEAD:jwst/__init__.py")
    (checkout / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(NoEnvironment, match=r"git cannot copy 3\.1\.0-0-g.*a clone that is whole"):
        environment_of(candidate_of(f"{checkout}@HEAD"), home)


def test_checkout_full_of_data_is_refused(checkout):
    """Exposures that lie in a checkout are no part of the pipeline, and take long to copy."""
    with (checkout / "exposure.fits").open("wb") as file:
        file.truncate(300_000_000)
    with pytest.raises(NoEnvironment, match=r"300 MB of files that git does not know.*exposure"):
        candidate_of(checkout)
    (checkout / ".git" / "info" / "exclude").write_text("*.fits\n")
    assert candidate_of(checkout).key == candidate_of(f"{checkout}@HEAD").key


def test_change_during_the_copy_is_noticed(checkout, home):
    """An environment has the state that its name says."""
    wanted = candidate_of(checkout)
    _edited(checkout)
    with pytest.raises(NoEnvironment, match="changed while it was copied"):
        environment_of(wanted, home)
    assert environments(home) == []


def test_wheel_is_installed(tmp_path, home):
    """By its content, whatever its name."""
    name, content = wheel("jwst", "3.2.0")
    (tmp_path / name).write_bytes(content)
    wanted = candidate_of(tmp_path / name)
    assert environment_of(wanted, home).packages == {"jwst": "3.2.0"}

    _, other = wheel("jwst", "3.2.0", "stcal")
    (tmp_path / name).write_bytes(other)
    assert candidate_of(tmp_path / name).key != wanted.key


def test_wheel_for_another_python_is_refused(tmp_path, home):
    """Its name says which it is for."""
    name, content = wheel("jwst", "3.2.0", tag="cp399-cp399-any")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NoEnvironment, match=f"wants a Python that {name} is for, and uv finds 3"):
        environment_of(candidate_of(tmp_path / name), home)


def test_checkout_for_another_python_is_refused(checkout_of, home):
    """It says itself which it is for."""
    with pytest.raises(NoEnvironment, match=r"wants Python >=3\.90, and uv finds 3"):
        environment_of(candidate_of(checkout_of("jwst", python=">=3.90")), home)


def test_checkouts_beside_it_take_the_place_of_repositories(checkout_of, home):
    """A development version names repositories, which are not to be had without a network."""
    jwst = checkout_of("jwst", "stcal @ git+file:///nowhere/stcal.git@main")
    stcal = checkout_of("stcal", version="2.0.dev1")
    alone = candidate_of(jwst)
    assert alone.elsewhere == ["stcal"]
    with pytest.raises(NoEnvironment, match=r"which takes stcal from .*: give checkouts of those"):
        environment_of(alone, home)

    both = candidate_of(jwst, [stcal])
    assert both.key != alone.key
    assert both.elsewhere == []
    made = environment_of(both, home)
    assert made.packages == {"jwst": "3.1.0", "stcal": "2.0.dev1"}
    assert [each["package"] for each in made.stamp["sources"]] == ["jwst", "stcal"]


def test_requirement_that_nobody_has_is_named(checkout_of, home):
    """The reason is that of uv."""
    with pytest.raises(NoEnvironment, match=r"cannot be installed .*absent"):
        environment_of(candidate_of(checkout_of("jwst", "absent>=3")), home)


def test_build_that_fails_is_said_with_its_last_line(checkout, home):
    """Such as what a compiler says."""
    (checkout / "backend.py").write_text("raise SystemExit('no compiler today')\n")
    with pytest.raises(NoEnvironment, match=r"no compiler today.*install\.log"):
        environment_of(candidate_of(checkout), home)


@pytest.mark.usefixtures("dated_index")
def test_old_commit_is_installed_with_what_there_was_then(checkout_of, home):
    """An old state does not run with packages of today."""
    old = checkout_of("jwst", "needed", day="2024-01-10")
    made = environment_of(candidate_of(old), home)
    assert made.packages == {"jwst": "3.1.0", "needed": "1.0", "setuptools": "1.0"}


def test_state_is_described_by_tag_distance_and_change(checkout):
    """As `git describe` does it, so that a reader finds the commit."""
    _committed(checkout)
    short = git(checkout, "rev-parse", "--short=9", "HEAD")
    assert candidate_of(checkout).name == f"3.1.0-1-g{short}"
    _edited_otherwise(checkout)
    assert candidate_of(checkout).name.startswith(f"3.1.0-1-g{short}-changed-")


def _nothing(tmp_path):
    return tmp_path / "nothing"


def _no_repository(tmp_path):
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def _no_commit(tmp_path):
    git(tmp_path, "init", "--quiet", "empty")
    return tmp_path / "empty"


def _no_wheel(tmp_path):
    (tmp_path / "jwst-1.0-py3-none-any.whl").write_text("text")
    return tmp_path / "jwst-1.0-py3-none-any.whl"


def _no_name_of_a_wheel(tmp_path):
    (tmp_path / "jwst.zip").write_bytes(wheel("jwst", "1.0")[1])
    return tmp_path / "jwst.zip"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_nothing, "is not there: name a checkout"),
        (_no_repository, "is no git checkout"),
        (_no_commit, "is no git checkout with a commit"),
        (_no_wheel, "is no wheel"),
        (_no_name_of_a_wheel, "is no wheel"),
    ],
)
def test_what_is_no_candidate_is_refused(tmp_path, make, sentence, monkeypatch):
    """With a sentence that says what can be named."""
    # The directory for temporary files may itself be in a repository.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(NoEnvironment, match=sentence):
        candidate_of(make(tmp_path))


@pytest.mark.parametrize("ref", ["absent", "", "--help"])
def test_unknown_commit_is_refused(checkout, ref):
    """A text after the sign is a commit, and never an option."""
    with pytest.raises(NoEnvironment, match="no commit, branch or tag"):
        candidate_of(f"{checkout}@{ref}")


def test_checkout_without_a_description_is_refused(checkout):
    """Not every directory of a repository can be installed."""
    with pytest.raises(NoEnvironment, match="no pyproject"):
        candidate_of(checkout / "jwst")


def test_description_that_cannot_be_read_is_named(checkout):
    """As after a merge."""
    (checkout / "pyproject.toml").write_text("<<<<<<< HEAD\n")
    with pytest.raises(NoEnvironment, match=r"pyproject\.toml of .* cannot be read"):
        candidate_of(checkout)


def test_other_package_is_no_candidate(checkout_of):
    """What goes with the pipeline has a place of its own."""
    with pytest.raises(NoEnvironment, match="is stcal, not jwst"):
        candidate_of(checkout_of("stcal"))


def test_package_given_twice_is_refused(checkout_of):
    """One of them would be lost."""
    jwst, stcal = checkout_of("jwst"), checkout_of("stcal")
    with pytest.raises(NoEnvironment, match="stcal is given 2 times"):
        candidate_of(jwst, [stcal, f"{stcal}@HEAD"])
