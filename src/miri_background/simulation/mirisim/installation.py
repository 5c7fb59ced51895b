"""A MIRISim installation: its version, and how its program is run."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from miri_background.outcomes import CannotJudge, SetUpWrong, TimeLimitReached
from miri_background.places import writable

__all__ = ["MIRISim", "working_directory"]

_OLDEST = (2, 1)
_NEWEST_MAJOR = 2
# s; `conda run` alone takes seconds, the imports of MIRISim a minute on a network disk.
_VERSION_TIME_LIMIT = 300.0
_PRINT_VERSION = "import mirisim; print(mirisim.__version__)"

# Settings of this Python and its notebook kernel that stop another Python from starting
# or from importing matplotlib.
_NOT_FOR_MIRISIM = ("MPLBACKEND", "PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS")

_SEQUENCE = re.compile(r"seq(\d+)")
_LINES_QUOTED = 200  # characters of the last line of a log that a sentence quotes


@contextmanager
def working_directory():
    """Give a fresh directory, removed afterwards, whose path MIRISim can use.

    MIRISim fails where a path has a space.

    Yields
    ------
    pathlib.Path
        In the directory for temporary files, or in ``/tmp`` if that has a space.
    """
    place = tempfile.gettempdir()
    if " " in place:
        place = "/tmp"  # noqa: S108, the directory in it has a name of its own
    with writable(place):
        directory = tempfile.TemporaryDirectory(prefix="mirisim-", dir=place)
    with directory as name:
        yield Path(name)


def _environment():
    """Return the environment variables for a program of another Python."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_FOR_MIRISIM}


def _last_line(text):
    """Return the last line that is not empty, cut to a length that fits in a sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_LINES_QUOTED] if lines else "no output"


@dataclass(frozen=True)
class MIRISim:
    """How MIRISim is called where it is installed.

    Parameters
    ----------
    command : str
        As in a shell: ``mirisim``, ``conda run -n mirisim mirisim`` or a path; its last
        word is the program ``mirisim``.  PYTHONPATH and other settings of this Python are
        not handed on; where MIRISim needs one, ``env PYTHONPATH=... mirisim`` gives it.
    time_limit : float
        Seconds that one field may take.

    Raises
    ------
    CannotJudge
        If the command is empty or has an open quote, or the limit is not above zero.
    """

    command: str = "mirisim"
    time_limit: float = 4 * 3600.0

    def __post_init__(self):
        try:
            words = shlex.split(self.command)
        except ValueError:
            words = []
        if not words:
            msg = (
                f"The MIRISim command {self.command!r} is empty or has an open quote: "
                "give it as in a shell, such as 'conda run -n mirisim mirisim'."
            )
            raise SetUpWrong(msg)
        if not self.time_limit > 0:
            msg = (
                f"The time limit of MIRISim, {self.time_limit} s for a field, is not above zero: "
                "an hour for each exposure is ample."
            )
            raise SetUpWrong(msg)

    @property
    def _words(self):
        """Words of the command; paths are absolute, since MIRISim runs in another directory."""
        # Only what is there is a path: a setting such as NAME=/a/b is none.
        return [
            str(Path(word).expanduser().absolute())
            if "/" in word and Path(word).expanduser().exists()
            else word
            for word in shlex.split(self.command)
        ]

    @property
    def _python(self):
        """Words that call the Python that MIRISim is installed in."""
        *wrapper, program = self._words
        if not wrapper and "/" not in program:
            # A shell finds the program in its environment's directory, where its Python is;
            # plain "python" may well be the one that runs this suite.
            program = shutil.which(program) or program
        sibling = Path(program).with_name("python")
        if "/" in program and (wrapper or sibling.exists()):
            return [*wrapper, str(sibling)]
        return [*wrapper, "python"]

    @cached_property
    def version(self):
        """Version of MIRISim, such as "2.4.1"; looked up once.

        Returns
        -------
        str
            As MIRISim gives it.

        Raises
        ------
        CannotJudge
            If it cannot be found out, or is not supported.
        """
        self.require_command()
        asked = shlex.join([*self._python, "-c", _PRINT_VERSION])
        try:
            answer = subprocess.run(
                shlex.split(asked),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_VERSION_TIME_LIMIT,
                check=False,
            )
            found = _last_line(answer.stdout if answer.returncode == 0 else answer.stderr)
        except (OSError, subprocess.TimeoutExpired) as error:
            answer, found = None, str(error)
        number = re.match(r"(\d+)\.(\d+)", found) if answer and answer.returncode == 0 else None
        if number is None:
            msg = (
                f"The version of MIRISim could not be read, {asked} gave {found!r}: "
                "give the command with the path of the mirisim program, "
                "or with 'conda run -n ENVIRONMENT' before it."
            )
            raise SetUpWrong(msg)
        major, minor = (int(digits) for digits in number.groups())
        if (major, minor) < _OLDEST or major > _NEWEST_MAJOR:
            msg = (
                f"MIRISim {found} ({self.command}) is not supported, versions from "
                f"{_OLDEST[0]}.{_OLDEST[1]} up to the last {_NEWEST_MAJOR}.x are: install one of "
                "those, or use the embedded simulator."
            )
            raise SetUpWrong(msg)
        return found

    def det_images(self, directory, count, log):
        """Run MIRISim in a directory and return the ramps that it writes there.

        Parameters
        ----------
        directory : path-like
            Holds ``simulation.ini`` and all that belongs to it; no space in its path.
        count : int
            Number of exposures that are configured.
        log : path-like
            Receives the configuration and all that MIRISim prints.

        Returns
        -------
        list of pathlib.Path
            ``det_image`` files in the order of the dither positions.

        Raises
        ------
        CannotJudge
            If MIRISim is missing, ends with an error, takes too long, or does not write
            as many images as there are exposures.
        """
        directory = Path(directory)
        self._execute(directory, log)
        outputs = [path for path in directory.glob("*_mirisim") if path.is_dir()]
        images = [path for output in outputs for path in output.glob("det_images/*.fits")]
        if len(outputs) != 1 or not images:
            msg = (
                f"MIRISim ({self.command}) ended without an error and left {len(outputs)} output "
                f"directories with {len(images)} images in det_images: see its log, {log}."
            )
            raise CannotJudge(msg)
        found = sorted(
            (int(number[1]), path) for path in images if (number := _SEQUENCE.search(path.name))
        )
        if [number for number, _ in found] != list(range(1, count + 1)):
            names = ", ".join(sorted(path.name for path in images))
            msg = (
                f"MIRISim ({self.command}) wrote {len(images)} images ({names}), not one for "
                f"each of the {count} dither positions: see its log, {log}."
            )
            raise CannotJudge(msg)
        return [path for _, path in found]

    def require_command(self):
        """Refuse a command whose first word is no program.

        Raises
        ------
        CannotJudge
            Naming it.
        """
        program = self._words[0]
        if shutil.which(program) is None:
            msg = (
                f"There is no program {program!r}, which the MIRISim command {self.command!r} "
                "begins with: activate MIRISim's environment, give another command, "
                "or use the embedded simulator."
            )
            raise SetUpWrong(msg)

    def _execute(self, directory, log):
        """Run the program, with its output in the log, until it ends or its time is over."""
        self.require_command()
        command = [*self._words, "simulation.ini"]
        log = Path(log)
        with writable(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
            stream = log.open("w", encoding="utf-8")
        with writable(log.parent), stream:
            # The working directory is removed, and a failure is nothing without its input.
            for path in sorted(directory.iterdir()):
                stream.write(f"--- {path.name}\n{path.read_text(encoding='utf-8')}\n")
            stream.write(f"--- {shlex.join(command)}\n")
            stream.flush()
            try:
                process = subprocess.Popen(
                    command,
                    cwd=directory,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that all its processes can be ended together
                )
            except OSError as error:
                msg = (
                    f"The MIRISim command {self.command!r} could not be started "
                    f"({error.strerror or error}): give another command; the log is {log}."
                )
                raise SetUpWrong(msg) from error
            try:
                code = process.wait(self.time_limit)
            except subprocess.TimeoutExpired:
                msg = (
                    f"MIRISim ({self.command}) did not end within {self.time_limit:g} s and was "
                    f"stopped: allow it more time, or see its log, {log}."
                )
                raise TimeLimitReached(msg) from None
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        last = _last_line(log.read_text(encoding="utf-8", errors="replace"))
        with log.open("a", encoding="utf-8") as stream:
            for own in sorted(directory.glob("*_mirisim/mirisim.log")):
                stream.write(f"--- {own.name}\n{own.read_text('utf-8', errors='replace')}\n")
        if code != 0:
            msg = (
                f"MIRISim ({self.command}) ended with exit code {code} ({last}): "
                f"see its log, {log}."
            )
            raise CannotJudge(msg)
