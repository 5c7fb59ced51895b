"""What the command line says of itself, and of a command line that is wrong."""

import json
import re
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from miri_background import cli
from miri_background.cli import main
from miri_background.parameters import every_parameter

VERBS = {
    "Judge": ["validate", "check", "advise", "compare", "okify"],
    "Builds of the pipeline": ["builds", "fixes"],
    "Ways to make a background": ["campaign"],
    "Explore": ["lab", "composite"],
    "Nights": ["nightly", "history", "site"],
    "Data of others": ["data"],
    "Look after the suite": [
        "closure",
        "faults",
        "false-alarms",
        "references",
        "render",
        "manifest",
        "refresh",
    ],
}
EVERY = [*(verb for verbs in VERBS.values() for verb in verbs), "references doctor", "data fetch"]
# Which parameters have an option: all of them, or some names, or all but some.
ALL = set(every_parameter())
OF_CALIBRATION = {"crds_cache", "crds_server_url", "crds_context", "dark_groups", "rate_product"}
OF_CALIBRATION |= {"sigma", "emicorr"}
OF_CALIBRATION |= {"maxiters", "control", "through", "build", "build_with"}
PARAMETERS = {
    "validate": ALL,
    "render": ALL,
    "closure": ALL - OF_CALIBRATION - {"data", "mirisim_command", "baselines", "expect"},
    "references doctor": ALL
    - {"rate_product", "sigma", "maxiters", "control", "through", "build", "build_with"}
    - {"preset", "working_directory", "workers", "baselines", "expect"},
    "check": {"baselines", "expect"},
    "compare": {"baselines"},
    "okify": {"baselines"},
    "faults": {"workers"},
    "fixes": {"workers"},
    "false-alarms": {"workers"},
    "nightly": {"workers"},
    "campaign": {"workers"},
}
# What a verb takes beside parameters, as it did before.
OTHERS = {
    "check": ["--sigma", "--maxiters", "--association", "--output", "--json", "--no-page"],
    "advise": ["--sigma", "--maxiters", "--association", "--plot"],
    "compare": ["--output", "--history"],
    "builds": [
        *("--candidate", "--with", "--against", "--cases", "--time-limit", "--memory-limit"),
        *("--output", "--home", "--list", "--remove"),
    ],
    "fixes": ["--cases", "--seeds", "--output", "--home"],
    "campaign": ["--output", "--dask", "--scheduler", "--again", "--figures"],
    "okify": ["--reason", "--write"],
    "render": ["--output"],
    "closure": ["--beside"],
    "faults": ["--names", "--output"],
    "false-alarms": ["--runs", "--seed", "--output"],
    "nightly": ["--matrix", "--history", "--seed", "--names", "--site"],
    "composite": ["--output"],
    "history": ["--history", "--name", "--compare"],
    "site": ["--history", "--output"],
}
# A fresh process needs about 0.35 s of processor time for it, 0.08 s of these for the registry.
# A machine that others use needs more, as its caches are shared; twice the goal would be seen.
MOST_SECONDS = 1.0


def said(capsys, *arguments):
    """Return the code, standard output and standard error of a command line, in single spaces."""
    code = main(arguments)
    printed = capsys.readouterr()
    return code, " ".join(printed.out.split()), " ".join(printed.err.split())


def options_of(capsys, verb):
    """Return the options of a verb with their texts, in single spaces, by their last name."""
    _, shown, _ = said(capsys, *verb.split(), "--help")
    # Examples have options, too; they come first.
    listed = re.split(r" (?=--[a-z-]+ (?:[A-Z]|print|write))", shown)
    return {each.partition(" ")[0]: each for each in listed}


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("verb", EVERY)
def test_every_verb_has_text_and_examples(capsys, verb):
    """The help is no failure, and shows at least one command line to copy."""
    code, shown, _ = said(capsys, *verb.split(), "--help")
    assert code == 0
    assert f"Examples: miri-background {verb.split()[0]}" in shown


@pytest.mark.parametrize(("verb", "names"), PARAMETERS.items())
def test_help_has_unit_and_default_of_each_parameter(capsys, verb, names):
    """Each option of a parameter shows its unit, legal range and default."""
    options = options_of(capsys, verb)
    for name in names:
        told = options[f"--{hyphened(name)}"]
        kind = every_parameter()[name]
        legal = kind.legal_range(name).rpartition(f" ({kind.model_fields[name].description}")[0]
        assert f"[{legal}; default: " in told, name
        assert told.rstrip().split("default: ")[1].split("]")[0].endswith(kind.unit(name)), name


@pytest.mark.parametrize("verb", EVERY)
def test_verbs_have_no_other_parameters(capsys, verb):
    """An option that a verb would not use is not offered."""
    offered = {name for name, told in options_of(capsys, verb).items() if "default: " in told}
    parameters = {f"--{hyphened(name)}" for name in PARAMETERS.get(verb, ())}
    foreign = {f"--{hyphened(name)}" for name in ALL} - parameters - set(OTHERS.get(verb, ()))
    assert offered & foreign == set()


@pytest.mark.parametrize(("verb", "options"), OTHERS.items())
def test_help_has_every_other_option(capsys, verb, options):
    """What is no parameter is listed, too."""
    _, shown, _ = said(capsys, *verb.split(), "--help")
    assert [option for option in options if f"{option} " not in shown] == []


def hyphened(name):
    """Return the name of a parameter as options are usually written."""
    return name.replace("_", "-")


def test_options_are_grouped_by_what_they_describe(capsys):
    """The heads stand in the order in which a run goes."""
    main(["validate", "--help"])
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if re.fullmatch(r"The [a-z ]+:", line)]
    assert heads == [
        "The observation:",
        "The science field:",
        "The background field:",
        "The sky:",
        "The calibration:",
        "The run:",
    ]


@pytest.mark.parametrize(("verb", "shown"), [("closure", "2 exposures"), ("render", "10 groups")])
def test_help_has_the_defaults_of_the_verb(capsys, verb, shown):
    """Where a verb takes another default than the registry, its help says so."""
    assert f"default: {shown}]" in said(capsys, verb, "--help")[1]


@pytest.mark.parametrize(("head", "verbs"), VERBS.items())
def test_front_help_groups_verbs(capsys, head, verbs):
    """Each verb stands below its head, with a line on what it does."""
    main(["--help"])
    section = capsys.readouterr().out.partition(f"{head}:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  ([a-z-]+)  +[A-Z]", section, re.MULTILINE) == verbs


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130])
def test_front_help_has_every_exit_code(capsys, code):
    """What a script can rely on is said where it is looked for."""
    main(["--help"])
    assert re.search(rf"^  {code} +\w", capsys.readouterr().out, re.MULTILINE)


def test_no_verb_is_answered_with_the_help(capsys):
    """It is code 2 all the same: nothing was judged."""
    code, shown, told = said(capsys)
    assert (code, shown, "Judge: validate" in told) == (2, "", True)


# ------------------------------------------------------------------ wrong command lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("valdate", "valdate is not a verb of miri-background; did you mean validate?"),
        ("references doktor", "doktor is not a verb of miri-background references; did you mean"),
        ("validate --fliter F770W", "--fliter is not an option of miri-background validate; did "),
        ("validate --fliter F770W", "did you mean --filter?"),
        ("validate --background_group 7", "did you mean --background-groups"),
        ("validate --zzz", "--zzz is not an option of miri-background validate (see `"),
        ("validate somewhere", "miri-background validate: got unexpected extra argument"),
        ("check", "miri-background check: missing argument 'DIRECTORY'"),
        ("check here --sigma wide", "'wide' is not a valid"),
        ("false-alarms", "missing option '--output'"),
        ("faults --names --workers 1", "miri-background faults: option '--names' requires an"),
        ("history --compare one", "option '--compare' requires 2"),
    ],
)
def test_wrong_command_line_is_one_sentence(capsys, arguments, told):
    """Code 2, nothing on standard output, and on one line what is wrong and where the help is."""
    code = main(arguments.split())
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert (code, printed.out) == (2, "")
    assert line.startswith("COULD NOT JUDGE (set-up): ")
    assert told in line
    assert "--help`)." in line


# ------------------------------------------------------------------ interruption


def test_interruption_is_one_line(capsys, monkeypatch):
    """Ctrl-C ends with code 130 and a line, not with where the program was."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli._VERBS, "invoke", interrupted)
    code, shown, told = said(capsys, "history")
    assert (code, shown, told) == (130, "", "INTERRUPTED: run it again.")


# ------------------------------------------------------------------ version, completion


def test_version_names_suite_and_pipeline(capsys):
    """Both are those that are installed."""
    code, shown, _ = said(capsys, "--version")
    suite = version("miri-background-validation")
    assert (code, shown) == (0, f"miri-background {suite} jwst {version('jwst')}")


def test_module_is_the_program():
    """`python -m miri_background` answers as `miri-background` does."""
    ended = subprocess.run(
        [sys.executable, "-m", "miri_background", "--version"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith(f"miri-background {version('miri-background-validation')}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_produced(command_line, shell):
    """What the front help says to evaluate is a script for the shell."""
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is not installed, of which the version is asked")
    made = command_line(_MIRI_BACKGROUND_COMPLETE=f"{shell}_source")
    assert made.returncode == 0
    assert "_MIRI_BACKGROUND_COMPLETE=" in made.stdout


@pytest.mark.parametrize(
    ("words", "number", "offered"),
    [
        ("miri-background va", 1, "validate"),
        ("miri-background validate --background-gr", 2, "--background-groups"),
        ("miri-background validate --filter F15", 3, "F1500W"),
        ("miri-background references d", 2, "doctor"),
    ],
)
def test_completion_offers_what_there_is(command_line, words, number, offered):
    """Verbs, options and names are completed."""
    answer = command_line(
        _MIRI_BACKGROUND_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(number)
    )
    assert answer.stdout.split() == [f"plain,{offered}"]


# ------------------------------------------------------------------ speed


def seconds_and_modules(*arguments):
    """Return the processor time of a command line in a fresh process, and what it imported."""
    code = (
        "import json, sys; from miri_background.cli import main; main(sys.argv[1:]); "
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, set(json.loads(ended.stdout.splitlines()[-1]))


AT_ONCE = [
    ["--help"],
    ["validate", "--help"],
    ["closure", "--help"],
    ["--version"],
    ["validate", "--groups", "3"],
    ["validate", "--crds-cache", "/nowhere"],
    ["validate", "--data", "flight"],
    ["validate", "--simulator", "mirisim", "--mirisim-command", "no-mirisim"],
    ["check", "/nowhere"],
    ["check", "/", "--sigma", "nan"],
    ["advise", "/nowhere"],
    ["composite", "/nowhere", "/nowhere"],
    ["campaign", "--help"],
    ["advise", "/", "--maxiters", "-1"],
    ["valdate"],
]


HEAVY = {"astropy", "crds", "jwst", "matplotlib", "nbformat", "numpy", "papermill", "scipy"}


@pytest.mark.parametrize("arguments", AT_ONCE, ids=" ".join)
def test_answer_comes_at_once(arguments):
    """Help and refusals import nothing heavy, and take less than a second of the processor."""
    seconds, imported = seconds_and_modules(*arguments)
    assert imported & HEAVY == set()
    # Whatever else runs: twice in a row, other work hardly gets in between.
    assert seconds < MOST_SECONDS or seconds_and_modules(*arguments)[0] < MOST_SECONDS
