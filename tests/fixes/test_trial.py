"""A small trial of the real steps, and the page of one."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from miri_background.cli import main
from miri_background.fixes import trial
from miri_background.fixes.flags import KINDS
from miri_background.fixes.pieces import DATA, Piece
from miri_background.fixes.score import Score
from miri_background.fixes.tried import Tried
from miri_background.fixes.variants import VARIANTS
from miri_background.reporting.fixes.page import html_page, markdown, text

SMALL = {"subarray": "SUB256", "groups": 6, "background_exposures": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return the directory of the small trial."""
    return tmp_path_factory.mktemp("fixes")


@pytest.fixture(scope="module")
def tried(home):
    """Return what came out of a trial of one small observation, and let others be like it."""
    found = [Piece("errors", "SUB256", 770, (2,)), Piece("flags", "SUB256", 770, (2,))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATA, "SUB256", SMALL)
        patch.setattr(
            trial, "pieces", lambda cases, _: [each for each in found if each.case in cases]
        )
        yield trial.try_fixes(("errors", "flags"), home, 1, 1)


@pytest.mark.slow
def test_pulls_are_as_predicted(tried):
    """Within five standard errors and two percent, which theory leaves of six groups."""
    found = [each for each in tried.scores if each.quantity.startswith("pull of")]
    assert len(found) > len(VARIANTS["errors"])
    for each in found:
        assert math.isfinite(each.predicted)
        assert abs(each.value - each.predicted) < 5 * each.error + 0.02 * each.predicted, each


@pytest.mark.slow
def test_err_alone_is_lost_in_the_flat_field(tried):
    """And kept with the variances."""

    def of(variant, quantity):
        kind = {"backgrounds": 2, "clipping": "sigma 2"}
        return tried.score("errors", "SUB256", variant, quantity, **kind)

    before, after = "pull of the subtracted image", "pull after flat_field"
    today, kept = of("unmodified", after), of("variances", after)
    assert of("quadrature", after).value == pytest.approx(today.value, rel=1e-4)
    # Pixels without a flat are left out: all others are the same, so that chance is, too.
    assert abs(kept.value - of("variances", before).value) < kept.error
    assert kept.value < 0.9 * today.value


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("variant", "number", "usable", "wrong"),
    [
        ("unmodified", 1, 0, 0),
        ("masked", 1, 0, 0),
        ("all, masked", 1, 100, 0),
        ("half, masked", 1, 0, 0),
        ("all, masked", 2, 0, 0),
    ],
)
def test_pixels_are_recovered_as_the_rule_says(tried, kind, variant, number, usable, wrong):
    """Flags of one of two backgrounds, and of both."""
    group = {"group": f"{kind} in {number} of 2", "backgrounds": 2}
    of = [
        tried.score("flags", "SUB256", variant, quantity, **group).value
        for quantity in ("pixels that can be used", "wrong and not flagged")
    ]
    assert of == [usable, wrong]


@pytest.mark.slow
def test_without_masking_flags_of_all_let_latent_images_pass(tried):
    """The mean of two keeps half of each."""
    group = {"group": "latent image in 1 of 2", "backgrounds": 2}
    wrong = tried.score("flags", "SUB256", "all", "wrong and not flagged", **group)
    assert wrong.value > 20


@pytest.mark.slow
def test_nothing_is_tried_again(home, tried, monkeypatch):
    """What was kept is found; what is of something else is made again."""

    def again(*_):
        raise InterruptedError

    monkeypatch.setattr(trial, "calibrated_run", again)
    assert repr(trial.try_fixes(("errors", "flags"), home, 1, 1)) == repr(tried)
    kept = next((home / "results").glob("flags*.json"))
    before = kept.read_text()
    kept.write_text(json.dumps(json.loads(before) | {"key": "another"}))
    with pytest.raises(InterruptedError):
        trial.try_fixes(("flags",), home, 1, 1)
    kept.write_text(before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cases", "erors"], "erors is not a case of fixes"),
        (["--seeds", "0"], "0 is not in the range"),
        (["--output", "TAKEN"], "is not the file that this suite"),
    ],
)
def test_wrong_command_lines_are_one_sentence(tmp_path, capsys, arguments, said):
    """Before anything is simulated."""
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    arguments = [str(taken) if each == "TAKEN" else each for each in arguments]
    assert main(["fixes", "--home", str(tmp_path / "home"), *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert taken.read_text() == "mine"


# ------------------------------------------------------------------ the page


def score(case, variant, quantity, value, **others):
    """Return a score of SUB256 with an error of 0.01."""
    kind = {"data": "SUB256", "error": 0.01, "backgrounds": 4, "clipping": "sigma 2"}
    return Score(
        **kind | {"case": case, "variant": variant, "quantity": quantity} | others, value=value
    )


@pytest.fixture
def made_up():
    """Return a trial of which each number is known."""
    scores = [score("errors", "", "pull of the rate alone", 1.04, backgrounds=0, clipping="")]
    for count in (1, 4, 8):
        for number, variant in enumerate(VARIANTS["errors"]):
            pulls = 1.5 - number / 4, 1.5 - (number == 2) / 4
            scores += [
                score("errors", variant.name, quantity, value, backgrounds=count)
                for quantity, value in zip(
                    ("pull of the subtracted image", "pull after flat_field"), pulls, strict=True
                )
            ]
        scores.append(
            score(
                "errors", "unmodified", "pull of the combined background", 1.18, backgrounds=count
            )
        )
    long = "SUB256, 40 groups from 6"
    scores += [
        score("errors", name, "pull after flat_field", value, data=long)
        for name, value in (("unmodified", 8.5), ("variances", 1.06))
    ]
    for variant in VARIANTS["flags"]:
        usable = 0.0 if variant.name == "unmodified" else 100.0
        for group in ("latent image in 1 of 4", "latent image in 2 of 4"):
            scores += [
                score("flags", variant.name, "pixels that can be used", usable, group=group),
                score("flags", variant.name, "wrong and not flagged", 27.0, group=group),
            ]
    for name, own in (("unmodified", 0.0), ("placed", 100.0)):
        place = {"data": "FULL from SUB256", "group": "covered", "backgrounds": 2}
        scores += [
            score("place", name, "its own background", own, **place),
            score("place", name, "bias of the subtracted image", 13.5 - own / 10, **place),
        ]
    noise = np.random.default_rng(3).standard_normal((200, 200)).astype(np.float32)
    images = {"FULL from SUB256": {"unmodified": noise + 13, "placed": noise}}
    return Tried(scores, ("errors", "flags", "place"), 4, images)


def test_page_answers_first(made_up):
    """Each thread with its number, before any table; no script, and text for each image."""
    page = html_page(made_up)
    answers = page[: page.index("<table")]
    for thread in ("8723", "10566", "10539"):
        assert f"https://github.com/spacetelescope/jwst/issues/{thread}" in answers
    assert "Errors in quadrature are closer to right" in answers
    assert "ERR alone is lost in flat_field" in answers
    assert "Misplaced in 1 of 1 pairs" in answers
    assert "<script" not in page
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 3
    assert all(re.search(r'alt="[^"]{20,}"', each) for each in images)
    assert not re.search(r'(?:src|href)="(?!data:|#|https://github)', page)


def test_answers_follow_the_numbers(made_up):
    """Errors that are worse in quadrature, passed on by the flat field; nothing misplaced."""
    turned = []
    for each in made_up.scores:
        value = each.value
        if each.variant == "quadrature":
            value = 1.25 if "flat" in each.quantity else 2.5
        if each.quantity == "its own background":
            value = 100.0
        turned.append(replace(each, value=value))
    page = html_page(replace(made_up, scores=turned))
    assert "They are no better" in page
    assert "ERR alone is passed on by flat_field" in page
    assert "are subtracted where they were read" in page


def test_part_of_a_trial_has_a_page(made_up):
    """Of what was not tried, nothing is said."""
    page = html_page(replace(made_up, cases=("flags",), images={}))
    assert "10539" in page
    assert "8723" not in page
    assert "<img" not in page


def test_text_and_markdown_have_the_answers(made_up):
    """With their numbers; tables of Markdown have as many cells in each row."""
    for made in (text(made_up), markdown(made_up)):
        for number in ("8.500 ± 0.010", "27.000 ± 0.010", "1.180 ± 0.010"):
            assert number in made or number.replace("0 ±", " ±").replace("0.010", "0.01") in made
    tables = re.findall(r"(?:^\|.*\n)+", markdown(made_up), re.MULTILINE)
    assert len(tables) > 5
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1
