"""What the package index knows of a release of jwst: its date, and the Pythons it is for."""

import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from miri_background.builds.interpreters import interpreters
from miri_background.builds.uv import NoEnvironment, ask_uv, builds_home

__all__ = ["Release", "release_of", "release_version"]

# The first releases of flight data are for Python 3.8; what is older cannot read this suite's.
_OLDEST_MINOR = (3, 8)
# A day's worth of network errors is not worth a minute for each release.
_RETRIES = "1"


@dataclass(frozen=True)
class Release:
    """A release of jwst.

    Parameters
    ----------
    version : str
        Such as "1.12.5".
    released : datetime.date or None
        When its first file was uploaded (UTC); None where the package index does not say.
    pythons : tuple of (int, int)
        Minor versions of Python that its files are for, newest first.
    """

    version: str
    released: date | None
    pythons: tuple

    @property
    def name(self):
        """The version."""
        return self.version

    @property
    def stem(self):
        """Name of the directory of its environment, but for the Python."""
        return f"jwst-{self.version}"

    @property
    def dated(self):
        """Day by which what it needs was on the package index (UTC), None if not known."""
        return self.released


def release_version(text):
    """Return the version that a text names, as the package index writes it.

    Parameters
    ----------
    text : str
        Such as "1.12.5".

    Returns
    -------
    str
        The same, normalised.

    Raises
    ------
    NoEnvironment
        If it is no version.
    """
    try:
        return str(Version(text))
    except InvalidVersion:
        msg = f"{text!r} is no version of jwst: write it like 1.20.2."
        raise NoEnvironment(msg) from None


def release_of(version, home=None):
    """Ask the package index for a release of jwst.

    Parameters
    ----------
    version : str
        Such as "1.12.5".
    home : path-like, optional
        Directory of environments, whose cache keeps what the index answers for some minutes.

    Returns
    -------
    Release
        What the index knows of it.

    Raises
    ------
    NoEnvironment
        If the index does not answer, or has no such release.
    """
    version, home = release_version(version), home or builds_home()
    newest = interpreters(home)[0].minor
    minors = [(3, each) for each in range(_OLDEST_MINOR[1], newest[1] + 1)]
    for minor in minors:
        # All files for this and later Pythons, of whatever system.
        package = _resolved(f"jwst=={version}", home, minor, "--universal")
        if package:
            break
    else:
        raise NoEnvironment(_unknown(version, home))
    files = [package.get("sdist"), *package.get("wheels", [])]
    uploads = [each["upload-time"].date() for each in files if each and "upload-time" in each]
    compiled, pure = _minors_of_wheels(package)
    if pure or not compiled:
        # No file is for one Python only: the release says which it is for.
        compiled |= {
            each for each in minors if each >= minor and _resolved(f"jwst=={version}", home, each)
        }
    return Release(version, min(uploads, default=None), tuple(sorted(compiled, reverse=True)))


def _asked(requirement, home, minor, *options):
    """Return the answer to which package meets a requirement.

    Raises
    ------
    NoEnvironment
        If the index does not answer.
    """
    answer = ask_uv(
        *("pip", "compile", "--no-deps", "--no-header", "--format", "pylock.toml"),
        # Without a Python, each version that is asked for is looked for on this machine.
        *("--python", sys.executable, "--python-version", f"{minor[0]}.{minor[1]}"),
        *(*options, "-"),
        home=home,
        given=requirement,
        UV_HTTP_RETRIES=_RETRIES,
    )
    if answer.code > 1:
        msg = (
            f"The package index cannot be asked ({answer.reason}): go online, or use builds that "
            "already have an environment."
        )
        raise NoEnvironment(msg)
    return answer


def _resolved(requirement, home, minor, *options):
    """Return the package that meets a requirement, as in a pylock file (PEP 751), or None."""
    answer = _asked(requirement, home, minor, *options)
    if answer.code == 1:
        return None
    (package,) = tomllib.loads(answer.output)["packages"]
    return package


def _unknown(version, home):
    """Return a sentence on a version that the package index does not have."""
    minor = interpreters(home)[0].minor
    near = [
        found["version"]
        for found in (
            _resolved(f"jwst<{version}", home, minor, "--universal"),
            _resolved(f"jwst>{version}", home, minor, "--universal", "--resolution", "lowest"),
        )
        if found
    ]
    if not near:
        reason = _asked("jwst", home, minor).reason
        return (
            f"The package index has no release of jwst at all ({reason}): see whether pip or uv "
            "is set to another index than the public one, or to work without a network."
        )
    nearest = f"the nearest {'is' if len(near) == 1 else 'are'} {' and '.join(near)}"
    return f"There is no release {version} of jwst: {nearest}."


def _minors_of_wheels(package):
    """Return the minor versions that there are compiled wheels for, and whether one is pure."""
    minors, pure = set(), False
    for each in package.get("wheels", []):
        place = each.get("name") or each.get("url") or each["path"]
        try:
            tags = parse_wheel_filename(unquote(PurePosixPath(urlsplit(place).path).name))[-1]
        except InvalidWheelFilename:
            continue
        for tag in tags:
            pure = pure or tag.interpreter.startswith("py")
            if tag.interpreter.startswith("cp3"):
                minors.add((3, int(tag.interpreter.removeprefix("cp3"))))
    return minors, pure
