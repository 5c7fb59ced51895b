"""What a night observes is checked before anything runs."""

import pytest

from miri_background.nightly.plan import read_matrix
from miri_background.outcomes import CannotJudge, Cause
from miri_background.references.mappings import CONTEXT
from miri_background.simulation.sky_level import require_unsaturated

NIGHT, GIVEN = 20261123, 7


@pytest.fixture
def matrix(tmp_path):
    """Return a function that reads the jobs of a text."""

    def read(text, seed=None):
        path = tmp_path / "nightly.yaml"
        path.write_text(text)
        return read_matrix(path, NIGHT, seed)

    return read


@pytest.fixture
def default(repository):
    """Return the jobs of the repository's own file."""
    return {job.name: job for job in read_matrix(repository / "nightly.yaml", NIGHT).jobs}


def test_default_has_what_a_night_should_see(default):
    """The default observation, another filter, a subarray, integrations, and many backgrounds."""
    of = {name: job.observation for name, job in default.items()}
    assert of["f770w"].model_dump(exclude={"seed"}) == type(of["f770w"])().model_dump(
        exclude={"seed"}
    )
    assert of["f1500w"].filter == "F1500W"
    assert of["brightsky"].subarray == "BRIGHTSKY"
    assert of["integrations"].integrations > 1
    assert of["eight_backgrounds"].background_exposures == 8
    assert default["eight_backgrounds"].calibration.sigma == 3
    assert default["mosaic"].calibration.through == "image3"
    assert default["rateints"].calibration.rate_product == "rateints"


def test_default_can_be_observed(default):
    """No sky of theirs saturates the ramps."""
    for job in default.values():
        require_unsaturated(job.observation)


def test_default_breaks_nothing_on_purpose(default):
    """A night that always fails tells nobody anything."""
    assert {job.calibration.control for job in default.values()} == {"none"}


def test_seed_is_of_the_night(matrix):
    """What has no seed gets the night's, what has one keeps it."""
    first, second = matrix("observations: {a: {}, b: {seed: 3}}").jobs
    assert (first.observation.seed, second.observation.seed) == (NIGHT, 3)


def test_given_seed_is_of_all(matrix):
    """A seed that is asked for is that of every observation."""
    jobs = matrix("observations: {a: {}, b: {seed: 3}}", GIVEN).jobs
    assert {job.observation.seed for job in jobs} == {GIVEN}


def test_time_limit_is_each_own_or_of_all(matrix):
    """The limit of all holds where there is no other."""
    jobs = matrix("time_limit: 5\nobservations: {a: {}, b: {time_limit: 0.5}}").jobs
    assert [job.time_limit for job in jobs] == [5, 0.5]


def test_parameters_of_the_notebook_may_be_set(matrix, tmp_path):
    """Controls and references too; a path is relative to the file, as the notebook is elsewhere."""
    text = (
        f"observations: {{a: {{control: step skipped, crds_cache: mine, crds_context: {CONTEXT}}}}}"
    )
    parameters = matrix(text).jobs[0].parameters()
    assert parameters["control"] == "step skipped"
    assert parameters["crds_cache"] == str(tmp_path / "mine")
    assert parameters["crds_context"] == CONTEXT


def test_words_for_caches_are_no_paths(matrix):
    """What the notebook knows by a word stays a word."""
    jobs = matrix("observations: {a: {crds_cache: home}, b: {}}").jobs
    assert [job.calibration.crds_cache for job in jobs] == ["home", "synthetic"]


def test_names_choose(matrix):
    """Jobs can be chosen by name, in the order of the file."""
    chosen = matrix("observations: {a: {}, b: {}, c: {}}").only(["c", "a"])
    assert [job.name for job in chosen.jobs] == ["a", "c"]


def test_unknown_name_is_told(matrix):
    """With what there is."""
    with pytest.raises(CannotJudge, match="no observation 'd': choose of a, b"):
        matrix("observations: {a: {}, b: {}}").only(["d"])


WRONG = {
    "empty": ("", "it = None"),
    "no YAML": ("a: [", "while parsing"),
    "no mapping": ("[1]", r"it = \[1\]"),
    "no observation": ("observations: {}", "at least 1 item"),
    "unknown key": ("moon: full\nobservations: {a: {}}", "moon = 'full': extra inputs"),
    "twice": ("observations: {a: {}, a: {}}", "a is given twice"),
    "name of a directory above": ("observations: {../a: {}}", r"\.\./a"),
    "name that the night uses": ("observations: {junit: {}}", "another use for this name"),
    "no parameters": ("observations: {a: 3}", "observations a = 3"),
    "unknown parameter": ("observations: {a: {gruops: 8}}", "a: gruops is not a parameter"),
    "out of range": ("observations: {a: {groups: 3}}", "a: groups = 3 is not a whole number from"),
    "unknown control": ("observations: {a: {control: explode}}", "a: control = 'explode'"),
    "no time": ("time_limit: 0\nobservations: {a: {}}", "time_limit = 0"),
    "time in words": ("observations: {a: {time_limit: soon}}", "a: time_limit = 'soon'"),
    "own workers": ("observations: {a: {workers: 2}}", "a: workers is the night's own"),
    "own directory": (
        "observations: {a: {working_directory: b}}",
        "a: working_directory is the night's own",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=list(WRONG))
def test_wrong_file_is_one_sentence(text, said, matrix, tmp_path):
    """It names the file, and what is wrong there."""
    with pytest.raises(CannotJudge, match=said) as caught:
        matrix(text)
    assert caught.value.cause is Cause.SET_UP
    assert str(caught.value).startswith(str(tmp_path / "nightly.yaml"))
    assert "\n" not in str(caught.value)


def test_missing_file_is_told(tmp_path):
    """So is one that is not there."""
    with pytest.raises(CannotJudge, match=r"nowhere\.yaml .*No such file"):
        read_matrix(tmp_path / "nowhere.yaml", NIGHT)
