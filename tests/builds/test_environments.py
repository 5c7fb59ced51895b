"""An environment is made once, complete or not at all, and found again without a network."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from miri_background.builds import environments as module
from miri_background.builds.environments import (
    NoEnvironment,
    environment_of,
    environments,
    in_use,
    remove_environments,
    size_on_disk,
)
from miri_background.outcomes import Cause

PATIENCE = 20  # s, on a busy machine


pytestmark = pytest.mark.usefixtures("wheels")


@pytest.fixture
def made(home, release):
    """Return an environment of a release."""
    return environment_of(release, home)


def remove_uv(monkeypatch):
    """Let there be no uv."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")


def test_python_of_environment_imports_the_build(made):
    """The environment is that of the release that was asked for, and not the suite's own."""
    code = "import jwst, sys; print(jwst.__version__, sys.prefix)"
    printed = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.split() == [made.name, str(made.directory / "venv")]


def test_environment_says_what_is_in_it(made):
    """Packages, size and name are in the stamp, too."""
    assert made.packages == {"jwst": "1.2.3"}
    assert (made.stamp["name"], made.stamp["packages"]) == ("1.2.3", made.packages)
    files = [path for path in made.directory.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= made.size


def test_environment_is_found_again_without_uv(made, home, monkeypatch):
    """A version is enough; nobody is asked."""
    remove_uv(monkeypatch)
    began = time.monotonic()
    assert environment_of("1.2.3", home) == made
    assert environments(home) == [made]
    assert time.monotonic() - began < 1


def test_without_uv_one_sentence_says_how_to_get_it(home, release, monkeypatch):
    """It is no package of every installation of the suite."""
    remove_uv(monkeypatch)
    with pytest.raises(NoEnvironment, match="-m pip install uv"):
        environment_of(release, home)


def test_interrupted_installation_is_made_anew(made, home, release):
    """What has a marker but no stamp is a part of an environment."""
    (made.directory / "stamp.json").unlink()
    shutil.rmtree(made.directory / "venv" / "lib")
    assert environments(home) == []
    again = environment_of(release, home)
    assert again.packages == made.packages
    assert environments(home) == [again]


def test_environment_whose_python_is_gone_is_made_anew(made, home, release):
    """A Python that was removed from the machine leaves a link to nothing."""
    made.python.unlink()
    made.python.symlink_to(home / "no python")
    assert os.access(environment_of(release, home).python, os.X_OK)


def test_anew_makes_a_complete_environment_again(made, home, release):
    """What was added to it is gone."""
    (made.directory / "venv" / "added").touch()
    again = environment_of(release, home, anew=True)
    assert not (again.directory / "venv" / "added").exists()
    assert again.packages == made.packages


@pytest.mark.parametrize("foreign", ["directory", "file", "link"])
def test_what_others_made_is_refused_and_stays(home, release, foreign, tmp_path):
    """Only what has the suite's marker is removed."""
    place = home / f"jwst-1.2.3-py{sys.version_info[0]}.{sys.version_info[1]}"
    home.mkdir(parents=True)
    elsewhere = tmp_path / "theirs"
    elsewhere.mkdir()
    if foreign == "directory":
        place.mkdir()
        (place / "thesis.tex").write_text("mine")
    elif foreign == "file":
        place.write_text("mine")
    else:
        (elsewhere / ".miri-background-build").write_text("1.2.3")
        place.symlink_to(elsewhere)
    with pytest.raises(NoEnvironment, match=f"{place} was not made by this suite"):
        environment_of(release, home)
    if foreign == "directory":
        assert (place / "thesis.tex").read_text() == "mine"
    assert place.is_symlink() == (foreign == "link")
    assert elsewhere.is_dir()


def test_package_that_does_not_resolve_leaves_a_log_only(home, release):
    """The reason is that of uv, and what is left is not taken for an environment."""
    with pytest.raises(NoEnvironment, match=r"absent was not found.*install\.log") as caught:
        environment_of(replace(release, version="1.5.0"), home)
    assert "\n" not in str(caught.value)
    assert environments(home) == []
    (log,) = home.glob("jwst-1.5.0-*/*.log")
    assert "absent" in log.read_text()
    assert not (log.parent / "venv").exists()


def test_lack_of_space_is_found_before_the_work(home, release, monkeypatch):
    """A full disk is not an error of the build."""
    left = shutil.disk_usage(home.parents[1])._replace(free=module.SIZE_OF_BUILD - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: left)
    with pytest.raises(NoEnvironment, match=r"0\.8 GB left") as caught:
        environment_of(release, home)
    assert caught.value.cause is Cause.DISK


def test_home_that_cannot_be_made_is_named(tmp_path, release):
    """A file is in the place of the directory."""
    (tmp_path / "file").touch()
    with pytest.raises(NoEnvironment, match="file") as caught:
        environment_of(release, tmp_path / "file")
    assert caught.value.cause is Cause.DISK


def test_time_limit_ends_the_installation(home, release, monkeypatch):
    """Nothing that is left is taken for an environment."""
    monkeypatch.setattr("miri_background.builds.installing._TIME_LIMIT", 1e-3)
    with pytest.raises(NoEnvironment, match="did not end") as caught:
        environment_of(release, home)
    assert caught.value.cause is Cause.TIME_LIMIT
    assert environments(home) == []


@pytest.mark.slow
def test_interrupted_by_the_user_it_is_made_by_the_next(home, release):
    """Ctrl-C comes through, and the next call finds a lock that is free."""
    code = (
        "import signal, sys\n"
        # What is started in the background of a shell does not hear it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from miri_background.builds.environments import environment_of\n"
        "from miri_background.builds.releases import Release\n"
        f"environment_of({release!r}, sys.argv[1])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, home], stderr=subprocess.PIPE)
    with process:
        until = time.monotonic() + PATIENCE
        while not list(home.glob("jwst-*/.miri-background-build")):
            assert time.monotonic() < until
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.stderr.read()
    assert environments(home) == []
    assert environment_of(release, home).packages == {"jwst": "1.2.3"}


def test_another_that_makes_it_is_waited_for(home, release):
    """Of two, one makes it, and the other finds it."""
    with ThreadPoolExecutor(2) as threads:
        two = list(threads.map(environment_of, [release] * 2, [home] * 2))
    assert two[0] == two[1]


def test_environment_in_use_is_not_removed(made, home):
    """It can be used by several, and removed when all have ended."""
    with in_use(made), in_use(made), pytest.raises(NoEnvironment, match="in use"):
        remove_environments(home, [made.name])
    assert environments(home) == [made]
    remove_environments(home, [made.name])
    with pytest.raises(NoEnvironment, match="was removed"), in_use(made):
        pass


def test_errors_of_users_are_their_own(made):
    """What fails while an environment is used is not the environment."""
    with pytest.raises(FileNotFoundError), in_use(made):
        (made.directory / "nothing").read_text()


def test_lock_is_held_by_uv_itself(made, home):
    """Killed while uv works, this process leaves nothing that a second one disturbs."""
    with (home / ".locks" / made.directory.name).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
    try:
        with pytest.raises(NoEnvironment, match="in use"):
            remove_environments(home, [made.name])
    finally:
        orphan.kill()
        orphan.wait()


def test_what_is_removed_is_free_again(made, home, release):
    """Of an interrupted one, too; with the last environment goes the cache."""
    kept = size_on_disk(home)
    with pytest.raises(NoEnvironment):
        environment_of(replace(release, version="1.5.0"), home)
    assert remove_environments(home, ["1.5.0"]) >= 0
    assert environments(home) == [made]
    assert 0 < size_on_disk(home) <= kept
    freed = size_on_disk(home)
    assert remove_environments(home, [made.directory.name]) == freed
    assert size_on_disk(home) == 0


def test_unknown_name_removes_nothing(made, home):
    """A name that is right beside one that is wrong is not removed, either."""
    with pytest.raises(NoEnvironment, match=r"no environment of a build 9\.9: there are 1\.2\.3"):
        remove_environments(home, [made.name, "9.9"])
    assert environments(home) == [made]


def test_what_has_several_names_takes_space_once(tmp_path):
    """Environments consist of hard links to what they have in common."""
    (tmp_path / "file").write_bytes(bytes(100_000))
    once = size_on_disk(tmp_path)
    (tmp_path / "same").hardlink_to(tmp_path / "file")
    assert size_on_disk(tmp_path) == once >= 100_000


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"name": "1.2.3"}'])
def test_damaged_stamp_is_none(made, home, release, damage):
    """An environment with a stamp that cannot be read is made anew."""
    (made.directory / "stamp.json").write_text(damage)
    assert environments(home) == []
    again = environment_of(release, home)
    assert json.loads((again.directory / "stamp.json").read_text()) == again.stamp
