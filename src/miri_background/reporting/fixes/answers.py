"""What a trial answers to the questions that are open on the background step."""

from dataclasses import dataclass

from miri_background.fixes.variants import UNMODIFIED
from miri_background.reporting.fixes.numbers import score_text

__all__ = ["Answer", "answers"]

_THREAD = "https://github.com/spacetelescope/jwst/issues/{}"


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Parameters
    ----------
    name : str
        Of the question: a thread, or words where none was found.
    place : str
        Address of the thread, empty if none was found.
    sentence : str
        With the numbers that decide.
    """

    name: str
    place: str
    sentence: str


def answers(tried):
    """Return the answers to the open questions.

    Parameters
    ----------
    tried : Tried
        What came out.

    Returns
    -------
    list of Answer
        Of what was tried.
    """
    found = []
    if "errors" in tried.cases:
        found += [_answer("10566", _quadrature(tried)), _answer("8723", _propagated(tried))]
    if "flags" in tried.cases:
        found.append(_answer("10539", _flags(tried)))
    if "place" in tried.cases:
        found.append(Answer("Place of another subarray", "", _place(tried)))
    return found


def _answer(number, sentence):
    """Return the answer to a thread of jwst."""
    return Answer(f"jwst#{number}", _THREAD.format(number), sentence)


def _errors(tried, variant, quantity, backgrounds, data="SUB256"):
    """Return a score of errors at sigma 2."""
    return tried.score(
        "errors", data, variant, quantity, backgrounds=backgrounds, clipping="sigma 2"
    )


def _quadrature(tried):
    """Answer whether errors should be added in quadrature when backgrounds are subtracted."""
    name = "pull of the subtracted image"
    alone = tried.score("errors", "SUB256", "", "pull of the rate alone", backgrounds=0)
    today, fixed = (
        [_errors(tried, variant, name, count) for count in (1, 4)]
        for variant in (UNMODIFIED, "quadrature")
    )
    better = all(
        abs(one.value - alone.value) < abs(other.value - alone.value)
        for one, other in zip(fixed, today, strict=True)
    )
    words = "Errors in quadrature are closer to right" if better else "They are no better"
    return (
        f"{words}. Values scatter around the truth by {score_text(today[0])} of the error that is "
        f"reported today with one background, and by {score_text(today[1])} with four; with ERR "
        f"in quadrature by {score_text(fixed[0])} and {score_text(fixed[1])}. Of a rate before any "
        f"subtraction it is {score_text(alone)}."
    )


def _propagated(tried):
    """Answer how the error of the combined background should be passed on."""
    after, long = "pull after flat_field", "SUB256, 40 groups from 6"
    today, only_err, both = (
        _errors(tried, variant, after, 4) for variant in (UNMODIFIED, "quadrature", "variances")
    )
    long_today, long_both = (
        _errors(tried, variant, after, 4, long) for variant in (UNMODIFIED, "variances")
    )
    combined = _errors(tried, UNMODIFIED, "pull of the combined background", 8)
    lost = abs(only_err.value - today.value) < abs(only_err.value - both.value)
    words = (
        "ERR alone is lost in flat_field, which makes it anew from VAR_POISSON and VAR_RNOISE: add "
        "to these, too"
        if lost
        else "ERR alone is passed on by flat_field"
    )
    return (
        f"{words}. With four backgrounds the pull after flat_field is {score_text(today)} today, "
        f"{score_text(only_err)} with ERR alone, and {score_text(both)} with the variances; for a "
        f"science exposure of 40 groups and backgrounds of 6, {score_text(long_today)} today and "
        f"{score_text(long_both)} with the variances. Clipping takes good values, which no error "
        f"allows for: the pull of the combined background itself is {score_text(combined)} with "
        "eight backgrounds and sigma 2."
    )


def _flags(tried):
    """Answer how flags of backgrounds should be combined."""

    def of(variant, quantity, group):
        return score_text(
            tried.score("flags", "SUB256", variant, quantity, backgrounds=4, group=group)
        )

    one, two = "latent image in 1 of 4", "latent image in 2 of 4"
    usable, wrong = "pixels that can be used", "wrong and not flagged"
    return (
        f"Of the pixels in which one of four backgrounds has a latent image and DO_NOT_USE, "
        f"{of(UNMODIFIED, usable, one)} % can be used today, and {of('all, masked', usable, one)} "
        f"% if only flags of all backgrounds count and DO_NOT_USE is masked; then "
        f"{of('all, masked', wrong, one)} % are wrong without a flag. Masking is needed for it: "
        f"where two of four have a latent image, {of('all', wrong, two)} % are wrong without a "
        f"flag if nothing is masked, {of('all, masked', wrong, two)} % with masking. There, a "
        f"threshold of one half leaves {of('half, masked', usable, two)} % to be used; without it "
        f"the noise is {of('all, masked', 'noise', two)} DN/s, where no background is spoiled "
        f"{of('all, masked', 'noise', 'no background')} DN/s."
    )


def _place(tried):
    """Say what misplaced backgrounds do."""

    def of(variant, quantity, data="FULL from BRIGHTSKY"):
        return tried.score("place", data, variant, quantity, group="covered")

    own, bias = "its own background", "bias of the subtracted image"
    every = dict.fromkeys(each.data for each in tried.scores if each.case == "place")
    wrong = [each for each in every if of(UNMODIFIED, own, each).value < 100]
    if not wrong:
        return "Backgrounds of another subarray are subtracted where they were read."
    left = tried.score(
        "place", wrong[0], "placed", "no background, and no flag", group="not covered"
    )
    uncovered = (
        f" Then {score_text(left)} % of the pixels that no background covers are not subtracted "
        "and not flagged: the step has to flag them, too."
        if left
        else ""
    )
    return (
        f"Misplaced in {len(wrong)} of {len(every)} pairs of subarrays ({'; '.join(wrong)}). "
        f"{wrong[0]}: {score_text(of(UNMODIFIED, own, wrong[0]))} % of the covered pixels get "
        f"their own background, and {score_text(of(UNMODIFIED, bias, wrong[0]))} DN/s are left on "
        f"average; put where they were read, {score_text(of('placed', own, wrong[0]))} % and "
        f"{score_text(of('placed', bias, wrong[0]))} DN/s.{uncovered}"
    )
