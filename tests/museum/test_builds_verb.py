"""What `builds` refuses, before anything is installed, and how it looks after environments."""

import pytest

from miri_background.cli import main


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    """Return a function that calls the verb in an empty directory: exit code and all it prints."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(["builds", "--home", str(tmp_path / "builds"), *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name releases of jwst, such as 1.20.2 3.0.0, or a candidate with --candidate."),
        (["3.0.0", "--with", "stcal"], "--with and --against belong to a candidate"),
        (["3.0.0", "--cases", "nonsense"], "nonsense is not a case of the museum"),
        (["latest"], "latest"),
        (["3.0.0", "--time-limit", "0"], "--time-limit"),
        (["--remove", "1.2.3"], "has no environment of a build 1.2.3"),
        (["--candidate", "nowhere"], "nowhere"),
    ],
)
def test_refused_in_one_sentence(say, tmp_path, arguments, sentence):
    """With code 2; nothing is written but the directory of environments."""
    code, printed = say(*arguments)
    assert code == 2
    assert sentence in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.glob("builds.*"))


def test_page_of_others_is_not_replaced(say, tmp_path):
    """Somebody's file is in its place."""
    (tmp_path / "builds.md").write_text("my notes\n")
    code, printed = say("3.0.0")
    assert code == 2
    assert "builds.md is not the file that this suite wrote there" in printed
    assert (tmp_path / "builds.md").read_text() == "my notes\n"


def test_list_without_environments(say):
    """There is nothing, and it takes nothing."""
    code, printed = say("--list")
    assert code == 0
    assert "0.00 GB" in printed
