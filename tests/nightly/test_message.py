"""A message on a change of state, to a server of this machine and to commands."""

import json
import shlex
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from miri_background.cli import main
from miri_background.nightly import message as of_message
from miri_background.nightly.message import Change, Message, changes_of
from miri_background.nightly.night import Night
from miri_background.nightly.plan import read_matrix
from miri_background.outcomes import Outcome, SetUpWrong
from miri_background.reporting.history import Record

PASSED, FAILED = Outcome.PASSED.word, Outcome.FAILED.word
RECORD = Record("f770w", "image2_background", "n", "", 60.0, FAILED, "", "residual", "", None)
NIGHT = Night(Path("runs/nights/n"), (RECORD,))
CHANGES = [Change(RECORD, PASSED)]


@contextmanager
def server(status=200, wait=0.0):
    """Give the address of a server, and what it was sent."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            time.sleep(wait)
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            with suppress(BrokenPipeError):  # who has sent it does not wait any more
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"no such\nroom")

        def log_message(self, *_):
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}/hooks/secret", got
        one.shutdown()


def test_webhook_gets_what_changed():
    """For people as text, for programs as fields."""
    with server() as (address, got):
        assert Message(webhook=address).send(NIGHT, CHANGES) == []
    (sent,) = got
    assert "f770w failed, was passed: residual" in sent["text"]
    assert sent["outcome"] == FAILED
    assert [(each["name"], each["before"]) for each in sent["changes"]] == [("f770w", PASSED)]


def test_refusing_server_is_quoted():
    """In one line, and without the secret part of its address."""
    with server(404) as (address, _):
        (said,) = Message(webhook=address).send(NIGHT, CHANGES)
    assert said == "The webhook at 127.0.0.1 answered 404 Not Found: no such room"


def test_slow_server_is_given_up(monkeypatch):
    """A night does not wait for it for ever."""
    monkeypatch.setattr(of_message, "_PATIENCE", 0.3)
    with server(wait=2.0) as (address, _):
        (said,) = Message(webhook=address).send(NIGHT, CHANGES)
    assert said == "The webhook at 127.0.0.1 was not reached (ReadTimeout)."


def test_missing_server_is_named():
    """Nobody listens there any more."""
    with server() as (address, _):
        pass
    (said,) = Message(webhook=address).send(NIGHT, CHANGES)
    assert said == "The webhook at 127.0.0.1 was not reached (ConnectionError)."


def test_command_gets_the_text(tmp_path):
    """On its standard input."""
    target = tmp_path / "a file.txt"
    assert Message(command=f"tee {shlex.quote(str(target))}").send(NIGHT, CHANGES) == []
    assert "f770w failed, was passed: residual" in target.read_text()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            f"{sys.executable} -c 'import sys; sys.exit(\"no\\nroute\")'",
            "ended with exit code 1: no route",
        ),
        ("no-such-mail", "could not be run (No such file or directory)."),
        ("mail 'open", "could not be run (No closing quotation)."),
    ],
)
def test_command_that_fails(command, said):
    """In one sentence."""
    (found,) = Message(command=command).send(NIGHT, CHANGES)
    assert found == f"The message command {said}"


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        ({"f770w": PASSED}, FAILED, True),
        ({"f770w": FAILED}, PASSED, True),
        ({"f770w": FAILED}, FAILED, False),
        ({}, PASSED, False),
        ({}, FAILED, True),
    ],
)
def test_what_is_a_change(before, now, changed):
    """Another outcome than that of the last run; a first run that passes is none."""
    assert bool(changes_of([replace(RECORD, outcome=now)], before)) is changed


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, "neither a webhook nor a command"),
        ({"webhook": "chat.example.org"}, "message webhook"),
        ({"mail": "me@example.org"}, "message mail"),
    ],
)
def test_wrong_message_is_refused(tmp_path, message, said):
    """Before the night begins."""
    path = tmp_path / "nightly.yaml"
    path.write_text(yaml.safe_dump({"message": message, "observations": {"a": {}}}))
    with pytest.raises(SetUpWrong, match=said):
        read_matrix(path, 1)


def test_night_sends_it_once(tmp_path, monkeypatch, capsys):
    """When the state changes, and not again while it stays; a failure to send changes no code."""
    monkeypatch.chdir(tmp_path)
    matrix = tmp_path / "nightly.yaml"
    # Refused before anything is simulated: the sky saturates the ramps.
    job = {"sky_level": 2000.0, "groups": 100, "subarray": "FULL", "filter": "F1500W"}
    sends = {"command": "tee -a said.txt"}
    matrix.write_text(yaml.safe_dump({"message": sends, "observations": {"bright": job}}))
    codes = [main(["nightly", "--matrix", str(matrix)]) for _ in range(2)]
    assert codes == [2, 2]
    assert (tmp_path / "said.txt").read_text().count("could not judge, was passed") == 1
    assert capsys.readouterr().out.count("Message sent: 1 changed") == 1
    nights = [
        json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/nights/2*/*.json"))
    ]
    assert sorted(night["message"] for night in nights) == ["none", "sent: 1 changed"]
