"""What came out of trying builds: against what is known, and of a candidate against a release."""

from dataclasses import dataclass
from functools import cached_property

from miri_background.museum.outcomes import NO_ENVIRONMENT
from miri_background.outcomes import Outcome

__all__ = ["Change", "Tried", "TriedBuild"]

# Less is worse: a wrong result without an error is worst.
_WORTH = {"correct": 3, "refused": 2, "wrong": 0}
_OTHERWISE = 1


@dataclass(frozen=True)
class TriedBuild:
    """A build that was to be tried.

    Parameters
    ----------
    name : str
        Of the release, or of the candidate.
    version : str
        Of jwst; empty without an environment.
    reason : str
        Why it has no environment; empty if it has one.
    candidate : bool
        Whether it is under review.
    stamp : dict
        How its environment was made.
    """

    name: str
    version: str = ""
    reason: str = ""
    candidate: bool = False
    stamp: dict = None

    @property
    def label(self):
        """What it is called where there is little space."""
        return "candidate" if self.candidate else self.name


@dataclass(frozen=True)
class Change:
    """A case in which two builds differ, or one differs from what is known.

    Parameters
    ----------
    case : Case
        The case.
    build : str
        Name of the build.
    before, after : str
        Outcomes: what is known, or that of the other build; and that of this one.
    kind : str
        "worse", "better", "other", "values" or "behaviour".
    sentence : str
        What is seen.
    """

    case: object
    build: str
    before: str
    after: str
    kind: str
    sentence: str


def _kind(before, after):
    """Return whether an outcome is worse or better than another one."""
    first, second = (_WORTH.get(each, _OTHERWISE) for each in (before, after))
    if second < first:
        return "worse"
    # A crash in place of a wrong result is no result either.
    return "better" if second > first and after in _WORTH else "other"


@dataclass(frozen=True)
class Tried:
    """Builds in cases.

    Parameters
    ----------
    builds : tuple of TriedBuild
        In the order in which they are shown.
    cases : tuple of Case
        What was tried.
    results : dict
        `Result` by names of build and case.
    against : str
        Release that a candidate is compared with; empty without a candidate.
    """

    builds: tuple
    cases: tuple
    results: dict
    against: str = ""

    @property
    def candidate(self):
        """The build under review, None if there is none."""
        return next((each for each in self.builds if each.candidate), None)

    def outcome_of(self, build, case):
        """Return how a build did in a case, one of `OUTCOMES`."""
        found = self.results.get((build.name, case.name))
        return found.outcome if found else NO_ENVIRONMENT

    @cached_property
    def unexpected(self):
        """Where releases do not what is known of them, a list of `Change`."""
        found = []
        for build in self.builds:
            if build.candidate or build.reason:
                continue
            for case in self.cases:
                known, result = case.known(build.version), self.results[build.name, case.name]
                if known and known != result.outcome:
                    kind = _kind(known, result.outcome)
                    change = (case, build.name, known, result.outcome, kind, result.sentence)
                    found.append(Change(*change))
        return found

    @cached_property
    def changes(self):
        """In what a candidate differs from the release, a list of `Change`, the worst first."""
        new = self.candidate
        if new is None or new.reason:
            return []
        found = []
        for case in self.cases:
            pair = [self.results.get((name, case.name)) for name in (self.against, new.name)]
            if None not in pair:
                found += _changes(case, *pair)
        order = ("worse", "other", "behaviour", "values", "better")
        return sorted(found, key=lambda each: order.index(each.kind))

    @property
    def outcome(self):
        """The verdict: of a candidate against the release, else of releases against the known."""
        ready = {each.name for each in self.builds if not each.reason}
        new = self.candidate
        if not ready or (new and (new.name not in ready or self.against not in ready)):
            return Outcome.CANNOT_JUDGE
        found = self.changes if new else self.unexpected
        if any(each.kind == "worse" for each in found):
            return Outcome.FAILED
        return Outcome.DRIFTED if found else Outcome.PASSED


def _changes(case, old, new):
    """Return in what one result differs from another one of the same case."""
    given = case, new.build, old.outcome, new.outcome
    if old.outcome != new.outcome:
        said = new.sentence or (f"before: {old.sentence}" if old.sentence else "")
        return [Change(*given, _kind(old.outcome, new.outcome), said)]
    found = []
    before, after = old.behaviours or {}, new.behaviours or {}
    moved = [name for name in after if name in before and before[name] != after[name]]
    if moved:
        words = "; ".join(f"{name}: {before[name]} → {after[name]}" for name in moved)
        found.append(Change(*given, "behaviour", words))
    elif old.products != new.products:
        found.append(Change(*given, "values", "the products differ"))
    elif old.sentence != new.sentence and new.outcome not in ("correct", "refused"):
        found.append(Change(*given, "other", f"{new.sentence}; before: {old.sentence}"))
    return found
