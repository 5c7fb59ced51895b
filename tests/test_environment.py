import hashlib
import importlib.metadata
import re
import runpy
import subprocess
import sys
import tomllib
from itertools import chain

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from miri_background.builds.index import uv_settings

# Brackets keep the patterns from finding themselves.
PACKAGE_INDEX = re.compile(
    r"py[p]i\.(org|io)|py[t]honhosted\.org|ana[c]onda\.(org|com)|npm[j]s\.org|[d]eb\.debian\.org"
    r"|--(extra-)?index-u[r]l\b|--find-li[n]ks"
)
MACHINE_PATH = re.compile(r"(?<![\w.~}/)-])/(home|root|work|Users|private|scratch)/\w")

GPL = re.compile(r"\b[AL]?GPL|general public licen[sc]e", re.IGNORECASE)
PERMISSIVE = re.compile(
    r"Redistribution and use in source and binary forms"
    r"|Permission is hereby granted, free of charge"
    r"|Apache License"
)
# A distribution of the GPL family, LGPL included, comes in only by decision, with its reason here.
ACCEPTED = {
    "bayesicfitting": "jwst itself requires it, for residual fringes of MRS spectra, and imports "
    "it with jwst.pipeline; this package neither imports nor ships it",
}
# Of these, the part under the GPL is in the source archive only, and is not what is installed.
NOT_INSTALLED = {"docutils": "*.el"}  # a mode of Emacs


def _project(repository):
    """Return the [project] table of pyproject.toml."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _lock_entries(repository):
    """Return the lines of each entry of requirements.lock, keyed by ``name==version ; marker``."""
    entries = {}
    for line in (repository / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line[0] != " ":
            lines = entries.setdefault(line.removesuffix(" \\"), [])
        else:
            lines.append(line.strip())
    return entries


def _locked_versions(repository):
    """Return the locked version of each distribution, keyed by canonical name."""
    requirements = map(Requirement, _lock_entries(repository))
    return {
        canonicalize_name(item.name): str(item.specifier).removeprefix("==")
        for item in requirements
    }


def _tracked_texts(repository):
    """Yield path and text of the repository's own files, those not yet committed included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout, so its own files cannot be told from others")
    for name in filter(None, listed.stdout.split("\0")):
        path = repository / name
        if path.is_file():
            yield name, path.read_text(encoding="utf-8", errors="replace")


def _outside_world(text):
    """Return the package index hosts and options and the machine paths that a text names."""
    found = (pattern.finditer(text) for pattern in (PACKAGE_INDEX, MACHINE_PATH))
    return [match.group() for matches in found for match in matches]


def _run_time_closure(name):
    """Return the canonical names of all that a distribution needs here, no extra chosen."""
    closure = set()
    waiting = [(canonicalize_name(name), "")]
    while waiting:
        item = waiting.pop()
        if item in closure:
            continue
        closure.add(item)
        distribution, extra = item
        for text in importlib.metadata.requires(distribution) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            required = canonicalize_name(requirement.name)
            waiting += [(required, extra) for extra in ("", *requirement.extras)]
    return {distribution for distribution, _ in closure}


def _stated_licence(metadata):
    """Return the licence that a distribution's metadata state, in as many words as they use.

    A licence field longer than a line is a whole licence text, or that of all that
    a wheel bundles, and says less than the classifiers.
    """
    statements = [metadata.get("License-Expression", ""), metadata.get("License", "")]
    statements += [
        item for item in metadata.get_all("Classifier", []) if item.startswith("License ::")
    ]
    return "; ".join(item for item in statements if item and "\n" not in item.strip())


def _licence_problem(distribution):
    """Return why the licence of an installed distribution needs a decision, or an empty string."""
    stated = _stated_licence(distribution.metadata)
    if stated and stated != "UNKNOWN":
        return stated if GPL.search(stated) else ""
    texts = [
        path.read_text(encoding="utf-8")
        for path in distribution.files or []
        if re.search(r"dist-info/.*licen[sc]e", str(path), re.IGNORECASE)
    ]
    if any("GENERAL PUBLIC LICENSE" in text for text in texts):
        return "a text of the GPL family"
    return "" if any(map(PERMISSIVE.search, texts)) else "no licence that is known here"


def test_environment_yml_holds_the_pins_of_the_lock(repository):
    """Users of conda get the same versions as everybody else."""
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    (from_pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert from_pip == [*_lock_entries(repository), "-e ."]


def test_environment_yml_is_what_the_tool_writes(repository, tmp_path):
    """Nobody edits the generated file by hand."""
    tool = repository / "tools" / "environment_yml.py"
    written = tmp_path / "environment.yml"
    subprocess.run([sys.executable, tool, repository / "requirements.lock", written], check=True)
    assert (repository / "environment.yml").read_text(encoding="utf-8") == written.read_text(
        encoding="utf-8"
    )


def test_direct_dependencies_are_locked(repository):
    """The lock was made from the present pyproject.toml."""
    project = _project(repository)
    locked = _locked_versions(repository)
    extras = chain.from_iterable(project["optional-dependencies"].values())
    requirements = map(Requirement, [*project["dependencies"], *extras])
    unmet = [
        str(item)
        for item in requirements
        if not item.specifier.contains(locked.get(canonicalize_name(item.name), "0"))
        or canonicalize_name(item.name) not in locked
    ]
    assert unmet == []


def test_every_lock_entry_has_a_hash(repository):
    """Pip refuses a whole lock file for one entry without a hash."""
    digits = hashlib.sha256().digest_size * 2
    hashed = re.compile(rf"--hash=sha256:[0-9a-f]{{{digits}}}( \\)?")
    entries = _lock_entries(repository)
    assert [name for name, lines in entries.items() if not any(map(hashed.fullmatch, lines))] == []


@pytest.fixture(scope="module")
def installing(repository):
    """Return the functions of the tool that installs the lock."""
    return runpy.run_path(str(repository / "tools" / "install.py"))


def test_installer_is_taken_from_the_lock(repository, installing):
    """It comes first, with its own checksums and nothing else."""
    lock = (repository / "requirements.lock").read_text(encoding="utf-8")
    first, *hashes = installing["entry"](lock, "uv").splitlines()
    (name,) = (each for each in _lock_entries(repository) if each.startswith("uv=="))
    assert first == f"{name} \\"
    assert [line.strip() for line in hashes] == _lock_entries(repository)[name]


def test_settings_of_pip_are_those_of_uv(tmp_path, monkeypatch):
    """The environment comes before files; several values, and "quiet", are no obstacle."""
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror/simple\nfind-links =\n  /first\n  /second\n"
        "trusted-host = mirror\nquiet = 1\n"
    )
    # A machine may have set it for all its users: the file is what is tried here.
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "other")
    found = uv_settings()
    expected = {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_FIND_LINKS": "/first /second",
        "UV_INSECURE_HOST": "other",
    }
    assert {name: found[name] for name in expected} == expected


def test_python_versions_agree(repository):
    """Package, Makefile and conda accept the same versions of Python."""
    accepted = SpecifierSet(_project(repository)["requires-python"])
    environment = yaml.safe_load((repository / "environment.yml").read_text(encoding="utf-8"))
    (for_conda,) = [item for item in environment["dependencies"] if str(item).startswith("python ")]
    assert SpecifierSet(for_conda.removeprefix("python ")) == accepted

    check = runpy.run_path(str(repository / "tools" / "check_python.py"))
    oldest, newest = check["OLDEST"], check["NEWEST"]
    minors = [f"3.{minor}" for minor in range(30)]
    assert list(accepted.filter(minors)) == [
        f"3.{minor}" for minor in range(oldest[1], newest[1] + 1)
    ]


def test_repository_names_no_package_index_and_no_machine_path(repository):
    """What is committed works on any machine with any package index."""
    found = {name: _outside_world(text) for name, text in _tracked_texts(repository)}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize(
    "text",
    ["https://" + "py" + "pi.org/simple", "pip --extra-index" + "-url x", '"/' + 'home/someone"'],
)
def test_package_index_or_machine_path_is_found(text):
    """The search above does find what it looks for."""
    assert _outside_world(text)


@pytest.fixture(scope="module")
def run_time_licence_problems():
    """Return the licence problem of each run-time distribution that has one."""
    names = _run_time_closure("miri-background-validation")
    problems = {name: _licence_problem(importlib.metadata.distribution(name)) for name in names}
    return {name: problem for name, problem in problems.items() if problem}


def test_no_gpl_at_run_time(run_time_licence_problems):
    """No distribution of the GPL family, or of unknown licence, comes in unnoticed."""
    unexpected = run_time_licence_problems.keys() - ACCEPTED.keys() - NOT_INSTALLED.keys()
    assert {name: run_time_licence_problems[name] for name in unexpected} == {}


def test_accepted_licences_are_still_needed(run_time_licence_problems):
    """An exception goes when its reason goes."""
    assert ACCEPTED.keys() | NOT_INSTALLED.keys() <= run_time_licence_problems.keys()


@pytest.mark.parametrize(("name", "pattern"), NOT_INSTALLED.items())
def test_part_under_the_gpl_is_not_installed(name, pattern):
    """What is installed of a distribution of several licences has none of the GPL."""
    installed = importlib.metadata.distribution(name).files
    assert installed
    assert [str(path) for path in installed if path.match(pattern)] == []


def test_accepted_gpl_is_required_by_jwst_alone(repository):
    """The exception holds for what the judged pipeline needs, and for nothing that is ours."""
    ours = {Requirement(text).name.lower() for text in _project(repository)["dependencies"]}
    by_others = {
        name
        for name in _run_time_closure("miri-background-validation") - {"jwst"}
        for text in importlib.metadata.requires(name) or []
        if canonicalize_name(Requirement(text).name) in ACCEPTED
    }
    assert ours.isdisjoint(ACCEPTED)
    assert by_others == set()


@pytest.fixture
def venv_problem(repository, tmp_path):
    """Return a function that says why the .venv of an otherwise empty checkout cannot be used."""
    (tmp_path / "tools").symlink_to(repository / "tools")

    def problem():
        command = ["sh", "tools/venv_problem.sh"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    return problem


def test_missing_venv_is_made(venv_problem):
    """A fresh clone gets an environment."""
    assert venv_problem() == "there is none"


def test_venv_without_its_python_is_made_anew(venv_problem, tmp_path):
    """An environment whose Python was removed from the system is not kept."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "removed")
    assert venv_problem() == "its Python does not run"


def test_unfinished_venv_is_made_anew(venv_problem, tmp_path):
    """An environment that was interrupted before it had pip is not kept."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    assert venv_problem().startswith("it has no complete pip")


@pytest.mark.slow
def test_usable_venv_is_kept_until_it_is_moved(venv_problem, tmp_path):
    """An environment is used where it was made; commands in it fail anywhere else."""
    made = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True)
    assert venv_problem() == ""
    commands = made / "bin" / "pip"
    commands.write_text(commands.read_text().replace(str(tmp_path), "/elsewhere"))
    assert venv_problem() == "it was made in another directory"
