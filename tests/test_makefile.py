"""What a target of make calls."""

import shutil
import subprocess

import pytest


@pytest.mark.parametrize(
    ("given", "history"),
    [
        ("", ""),
        ("--seed 7 --history '/a b/c'", " --history /a b/c"),
        ("--history=/a --seed 7", " --history /a"),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_pages_are_of_the_history_of_the_night(repository, program, tmp_path, given, history, code):
    """They are built however the night ended, from where its records are."""
    shutil.copy(repository / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    called = 'echo "$@" >> called; test "$1" = site || exit'
    program(tmp_path / ".venv" / "bin" / "miri-background", f"{called} {code}")
    ended = subprocess.run(
        ["make", "-o", ".venv/.installed", "nightly", f"ARGS={given}"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (tmp_path / "called").read_text().splitlines()[1:] == [f"site{history}"]
    assert (ended.returncode != 0) == (code != 0)
