"""What builds did, as a page that needs no other file, as Markdown, and as text."""

from dataclasses import replace
from importlib.metadata import version

from markupsafe import Markup

from miri_background.museum.cases import cases as every_case
from miri_background.museum.outcomes import NO_ENVIRONMENT
from miri_background.outcomes import Outcome
from miri_background.rendering import Part, render
from miri_background.reporting.comparison.images import compared_images
from miri_background.reporting.comparison.page import shown_images
from miri_background.reporting.report.page import looks
from miri_background.reporting.words import counted
from miri_background.tables import markdown_table, text_table

__all__ = ["html_page", "markdown", "sentence_of", "text"]

_SIGNS = {"correct": "✓", "wrong": "✗", "refused": "–", NO_ENVIRONMENT: " "}
_OTHER_SIGN = "!"
_KINDS = {
    "worse": "worse than before",
    "better": "better than before",
    "other": "another outcome",
    "values": "other values",
    "behaviour": "another behaviour",
}
# The answer in two words, by the outcome whose exit code it has.
_ANSWERS = {
    Outcome.PASSED: "nothing changed",
    Outcome.DRIFTED: "changed, nothing is worse",
    Outcome.FAILED: "something is worse",
    Outcome.CANNOT_JUDGE: "could not judge",
}
# What is pictured of a case, the first that there is.
_IMAGES = {"combined": "Combined background", "subtracted": "Subtracted image"}
_MOST_PICTURES = 4  # cases of which pictures are shown
_NAMED = 3  # cases that a sentence names


def sentence_of(tried):
    """Return the answer in one sentence or two.

    Parameters
    ----------
    tried : Tried
        Builds in cases.

    Returns
    -------
    str
        For a person who has to decide on a merge.
    """
    new = tried.candidate
    if new is None:
        return _of_releases(tried)
    missing = [
        each for each in tried.builds if each.reason and each.name in (new.name, tried.against)
    ]
    if missing:
        return f"{missing[0].name} has no environment: {missing[0].reason}"
    total, changes = len(tried.cases), tried.changes
    cases, others = counted(total, "case"), len(every_case()) - total
    if not changes:
        # What was not tried may be what would have shown a change.
        left = f"; {others} others of the museum were not tried" if others else ""
        same = f"{new.name} subtracts backgrounds as jwst {tried.against} does, in all of {cases}"
        return f"{same}{left}."
    parts = []
    for kind, words in _KINDS.items():
        names = [each.case.name for each in changes if each.kind == kind]
        if names:
            more = ", …" if len(names) > _NAMED else ""
            parts.append(f"{words} in {len(names)} ({', '.join(names[:_NAMED])}{more})")
    same = total - len({each.case.name for each in changes})
    return (
        f"{new.name} against jwst {tried.against}, of {cases}: {'; '.join(parts)}; "
        f"the same in {same}."
    )


def _answer(tried):
    """Return the answer in a few words."""
    if tried.candidate is None and tried.outcome is Outcome.PASSED:
        return "as known"
    return _ANSWERS[tried.outcome]


def _of_releases(tried):
    """Return the answer where no candidate is under review."""
    ready = [each for each in tried.builds if not each.reason]
    cases = counted(len(tried.cases), "case")
    said = f"{counted(len(ready), 'build')} of {len(tried.builds)} tried in {cases}"
    if not tried.unexpected:
        return f"{said}: all do what is known of them."
    first = tried.unexpected[0]
    number = len(tried.unexpected)
    return (
        f"{said}: {counted(number, 'outcome')} {'is' if number == 1 else 'are'} not what is known, "
        f"first jwst {first.build} in {first.case.name}: {first.after}, "
        f"known as {first.before}."
    )


def _signed(outcome):
    """Return an outcome with its sign."""
    return f"{_SIGNS.get(outcome, _OTHER_SIGN)} {outcome}"


def _table(tried, head_of=lambda case: case.name):
    """Return heads and rows of builds and cases, each row with a head of its own."""
    heads = ["case", *(each.label for each in tried.builds)]
    rows = [
        [head_of(case), *(_signed(tried.outcome_of(build, case)) for build in tried.builds)]
        for case in tried.cases
    ]
    return heads, rows


def _change_rows(tried):
    """Return a row for each change: of a candidate, else against what is known."""
    found = tried.changes if tried.candidate else tried.unexpected
    labels = {each.name: each.label for each in tried.builds}
    return [
        (
            *(each.case.name, labels[each.build], each.before, each.after),
            *(_KINDS[each.kind], each.sentence),
        )
        for each in found
    ]


_CHANGE_HEADS = ("case", "build", "before", "now", "", "what is seen")


def text(tried):
    """Return what builds did, for a terminal.

    Parameters
    ----------
    tried : Tried
        Builds in cases.

    Returns
    -------
    str
        A table, what changed, builds without environment, and the answer.
    """
    lines = [text_table(*_table(tried)), ""]
    rows = _change_rows(tried)
    if rows:
        lines += [text_table(_CHANGE_HEADS[:-1], [row[:-1] for row in rows])]
        lines += [f"  {row[0]}, {row[1]}: {row[-1]}" for row in rows if row[-1]] + [""]
    lines += [f"{each.name}: {each.reason}" for each in tried.builds if each.reason]
    return "\n".join([*lines, f"{_answer(tried).upper()}: {sentence_of(tried)}"])


def markdown(tried):
    """Return what builds did, to paste into a review.

    Parameters
    ----------
    tried : Tried
        Builds in cases.

    Returns
    -------
    str
        Markdown: answer, what changed, and all outcomes folded.
    """
    answer = _answer(tried)
    lines = [f"**{tried.outcome.symbol} {answer}**: {sentence_of(tried)}", ""]
    rows = _change_rows(tried)
    if rows:
        lines += markdown_table(_CHANGE_HEADS, rows)
    heads, all_rows = _table(tried)
    lines += ["<details><summary>All cases</summary>", ""]
    lines += [*markdown_table(heads, all_rows), "</details>", ""]
    lines += [f"Made by miri-background {version('miri-background-validation')}."]
    return "\n".join(lines) + "\n"


def html_page(tried, images):
    """Return what builds did, as one file.

    Parameters
    ----------
    tried : Tried
        Builds in cases.
    images : callable
        Gives the images of products by their key; see `Trial.images`.

    Returns
    -------
    str
        HTML.
    """
    new = tried.candidate
    heads, rows = _table(tried, _head_of_case)
    return render(
        "report/builds.html.j2",
        title=f"{new.name} against jwst {tried.against}" if new else "builds of jwst",
        outcome=tried.outcome,
        answer=_answer(tried),
        sentence=sentence_of(tried),
        change_heads=_CHANGE_HEADS,
        changes=_change_rows(tried),
        pictures=[shown_images(each) for each in _pictures(tried, images)],
        heads=heads,
        rows=rows,
        without=[(each.name, each.reason) for each in tried.builds if each.reason],
        builds=[_build_row(tried, each) for each in tried.builds if not each.reason],
        cases=[_case_row(case) for case in tried.cases],
        ends=_ends(tried),
        style=Markup(looks()["report.css"].decode()),  # noqa: S704 - the suite's own
        version=version("miri-background-validation"),
    )


def _pictures(tried, images):
    """Return images of the first cases in which a candidate's differ from the release's."""
    found = []
    for change in tried.changes:
        pair = [
            images(tried.results[name, change.case.name].products)
            for name in (tried.against, tried.candidate.name)
        ]
        for kind, words in _IMAGES.items():
            if all(f"{kind} data" in each for each in pair):
                both = [(each[f"{kind} data"], each[f"{kind} dq"]) for each in pair]
                shown = compared_images(words, kind, both, (tried.against, "candidate"))
                if shown is not None:
                    found.append(replace(shown, name=f"{change.case.title}: {words.lower()}"))
                    break
        if len(found) == _MOST_PICTURES:
            break
    return found


def _build_row(tried, build):
    """Return a row of one build: what it is, and what it takes."""
    found = (tried.results.get((build.name, case.name)) for case in tried.cases)
    results = [each for each in found if each]
    stamp = build.stamp or {}
    seconds = sum(each.seconds for each in results)
    memory = max((each.memory for each in results), default=0.0)
    packages = stamp.get("packages", {})
    others = ", ".join(
        f"{name} {packages[name]}"
        for name in ("stcal", "stdatamodels", "numpy")
        if name in packages
    )
    return (
        build.name,
        build.version,
        stamp.get("python", ""),
        others,
        stamp.get("dated") or "",
        f"{seconds:.0f}",
        f"{memory / 1e9:.2f}",
    )


def _head_of_case(case):
    """Return title and name of a case."""
    return Part(words=case.title, small=case.name)


def _case_row(case):
    """Return a row of what a case is about."""
    threads = ", ".join(case.threads) or "no report found"
    return _head_of_case(case), case.symptom, case.cause, threads


def _ends(tried):
    """Return a row for each outcome that is not correct: what was seen, and where."""
    rows = []
    for case in tried.cases:
        for build in tried.builds:
            found = tried.results.get((build.name, case.name))
            if found and found.outcome != "correct":
                rows.append(
                    (case.name, build.name, found.outcome, [found.sentence, " ", found.where])
                )
    return rows
