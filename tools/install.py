"""Install what a lock file names into the environment of the Python that runs this.

Usage: .venv/bin/python tools/install.py requirements.lock [--anew]

uv installs in seconds what takes pip minutes; it is in the lock file itself, and pip installs it
first.  Where uv cannot do it, pip does.  Both accept only files with the checksums of the lock.

With --anew, what seems to be there is installed again: an interrupted installation may have left
a part of it.
"""

import os
import runpy
import signal
import subprocess
import sys
import tempfile
from itertools import takewhile
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
HASHED = ("install", "--quiet", "--require-hashes")
# The package is not installed yet, and neither is what it imports: this file of it needs nothing.
INDEX = Path(__file__).resolve().parents[1] / "src" / "miri_background" / "builds" / "index.py"


def entry(lock, name):
    """Return the text of a lock file that is about one distribution."""
    lines = lock.splitlines(keepends=True)
    (first,) = (number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    indented = takewhile(lambda line: line[0] == " ", lines[first + 1 :])
    return "".join([lines[first], *indented])


def main(path, *options):
    """Install, and return the exit code."""
    anew = "--anew" in options
    with tempfile.TemporaryDirectory() as directory:
        first = Path(directory) / "uv.lock"
        first.write_text(entry(Path(path).read_text(encoding="utf-8"), "uv"), encoding="utf-8")
        ended = subprocess.run([*PIP, *HASHED, "--requirement", first], check=False)
    if ended.returncode == 0:
        uv_settings = runpy.run_path(str(INDEX))["uv_settings"]
        # Its own settings are for making the lock.
        uv = (sys.executable, "-m", "uv", "--no-config", "pip", *HASHED)
        ended = subprocess.run(
            [*uv, "--python", sys.executable, *["--reinstall"] * anew, "--requirement", path],
            # Of several indexes, whichever has the file with the checksum.
            env={"UV_INDEX_STRATEGY": "unsafe-best-match"} | uv_settings() | os.environ,
            check=False,
        )
        if ended.returncode == 0:
            return 0
    print("uv could not install the packages: pip does it, which takes some minutes.", flush=True)
    again = ["--force-reinstall"] * anew
    return subprocess.run(
        [*PIP, *HASHED, "--no-compile", *again, "-r", path], check=False
    ).returncode


if __name__ == "__main__":
    # Ctrl-C ends this, and what it has started, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(*sys.argv[1:]))
