"""The museum says for each case what it is about, and what is known of it."""

import pytest
from packaging.version import Version

from miri_background.museum.cases import Case, cases, chosen_cases
from miri_background.museum.judging import Result
from miri_background.museum.tried import Tried, TriedBuild
from miri_background.outcomes import Outcome, SetUpWrong
from miri_background.reporting.builds.page import sentence_of


def case(name):
    """Return a case."""
    return chosen_cases([name])[0]


def test_there_are_many_cases():
    """At least those that the field has reported."""
    assert len(cases()) >= 25
    assert sum(bool(each.threads) for each in cases()) >= 15


@pytest.mark.parametrize("each", cases(), ids=lambda each: each.name)
def test_versions_are_in_order(each):
    """What is known begins with the oldest release, and goes on."""
    versions = [Version(version) for version in each.builds]
    assert versions == sorted(versions)
    assert versions[0] == Version("1.6.2")


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("1.5.0", ""),
        ("1.11.4", "crashed"),
        ("1.12.5", "wrong"),
        ("1.16.1", "crashed"),
        ("3.1.0.dev74+g9c979f9dd", "wrong"),
    ],
)
def test_what_is_known_of_a_version(version, known):
    """Misplaced backgrounds: since 1.12, but for those releases that ended with an error."""
    assert case("full-from-sub256").known(version) == known


@pytest.mark.parametrize(
    "changed", [{"mosaic": {"skymatch": {"skip": True}}}, {"association": "with backgrounds"}]
)
def test_no_mosaic_without_its_pipeline(changed):
    """What only calwebb_image3 knows is not asked of calwebb_image2."""
    content = case("sub256").model_dump() | changed
    with pytest.raises(ValueError, match=r"sub256: there is no mosaic without calwebb_image3"):
        Case(**content)


def test_unknown_case_is_named():
    """With those that there are."""
    with pytest.raises(SetUpWrong, match=r"nonsense is not a case .* there are full, sub256"):
        chosen_cases(["sub256", "nonsense"])


def tried(old, new, **more):
    """Return a candidate beside a release, both in one case."""
    builds = (
        TriedBuild("3.0.0", "3.0.0"),
        TriedBuild("branch", "3.1.0", more.pop("reason", ""), candidate=True),
    )
    results = {
        (build.name, "sub256"): Result("sub256", build.name, **given)
        for build, given in zip(builds, (old, new), strict=True)
    }
    return Tried(builds, (case("sub256"),), results, "3.0.0")


CORRECT = {"outcome": "correct", "products": "a"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "outcome"),
    [
        (CORRECT, CORRECT, None, Outcome.PASSED),
        (CORRECT, CORRECT | {"products": "b"}, "values", Outcome.DRIFTED),
        (CORRECT, {"outcome": "wrong"}, "worse", Outcome.FAILED),
        (CORRECT, {"outcome": "crashed"}, "worse", Outcome.FAILED),
        ({"outcome": "crashed"}, {"outcome": "wrong"}, "worse", Outcome.FAILED),
        ({"outcome": "wrong"}, CORRECT, "better", Outcome.DRIFTED),
        ({"outcome": "wrong"}, {"outcome": "timed out"}, "other", Outcome.DRIFTED),
        ({"outcome": "crashed"}, {"outcome": "timed out"}, "other", Outcome.DRIFTED),
        (
            CORRECT | {"behaviours": {"errors": "not propagated"}},
            CORRECT | {"behaviours": {"errors": "in quadrature"}, "products": "b"},
            "behaviour",
            Outcome.DRIFTED,
        ),
    ],
)
def test_candidate_beside_a_release(old, new, kind, outcome):
    """What is worse decides, and a difference is never silent."""
    found = tried(old, new)
    assert [each.kind for each in found.changes] == ([kind] if kind else [])
    assert found.outcome is outcome


def test_what_was_not_tried_is_said():
    """A few cases may be those that see nothing."""
    others = len(cases()) - 1
    assert f"; {others} others of the museum were not tried." in sentence_of(
        tried(CORRECT, CORRECT)
    )


def test_candidate_without_environment():
    """Nothing can be said of it."""
    assert tried(CORRECT, CORRECT, reason="it does not resolve").outcome is Outcome.CANNOT_JUDGE


@pytest.mark.parametrize(
    ("outcome", "verdict"), [("wrong", Outcome.PASSED), ("correct", Outcome.DRIFTED)]
)
def test_release_beside_what_is_known(outcome, verdict):
    """A known bug is no news; that it is gone, is."""
    chosen = case("full-from-sub256")
    results = {("3.0.0", chosen.name): Result(chosen.name, "3.0.0", outcome)}
    assert Tried((TriedBuild("3.0.0", "3.0.0"),), (chosen,), results).outcome is verdict
