"""The page that compares two results: whether something changed, then what, and where."""

from base64 import b64encode
from dataclasses import dataclass
from importlib.metadata import version

from markupsafe import Markup

from miri_background.outcomes import Outcome, headline
from miri_background.rendering import Part, render
from miri_background.reporting.comparison.images import compared_products
from miri_background.reporting.comparison.strips import strip
from miri_background.reporting.pictured import description_of
from miri_background.reporting.report.page import SCALE, day, looks
from miri_background.reporting.words import counted
from miri_background.validation.verdict.drift import compare

__all__ = ["Comparison", "comparison_of", "shown_images"]

_CIRCUMSTANCES = {
    "kind": "kind",
    "machine": "host",
    "CRDS context": "crds_context",
    "source of the pipeline": "pipeline_fingerprint",
    "commit of the suite": "suite_commit",
}
_FILES = ("references", "inputs")  # with checksums, of which the beginning is shown
_SHOWN = 12  # characters of a checksum
_LARGEST = 30  # files of a kind that are named


@dataclass(frozen=True)
class Comparison:
    """What changed from one result to another.

    Parameters
    ----------
    first, second : Side
        The results.
    drift : Drift
        Metrics, limits and behaviours that changed.
    products : ComparedProducts
        Pixels and headers that differ.
    """

    first: object
    second: object
    drift: object
    products: object

    @property
    def newly_broken(self):
        """Those limits of the second result that it breaks, and the first does not."""
        broken = {each.key for each in self.first.verdict.failures()}
        return [each for each in self.second.verdict.failures() if each.key not in broken]

    @property
    def recovered(self):
        """Those limits that the first result breaks, and the second keeps."""
        broken = {each.key for each in self.first.verdict.failures()}
        return [each for each in self.second.verdict.metrics if each.passed and each.key in broken]

    @property
    def outcome(self):
        """Failed if the second breaks a limit; drifted if it keeps all, and something changed."""
        if self.second.verdict.failures():
            return Outcome.FAILED
        return Outcome.DRIFTED if self.drift.drifted else Outcome.PASSED

    def sentence(self):
        """Return the answer in one sentence or two."""
        failures, new = self.second.verdict.failures(), self.newly_broken
        changed = counted(len(self.drift.metrics), "metric")
        if new:
            beyond = counted(len(new), "limit")
            rest = len(failures) - len(new)
            also = f" {counted(rest, 'limit')} more are broken by both." if rest else ""
            return f"The second breaks {beyond} that the first does not: {new[0].sentence()}.{also}"
        if failures:
            more = f", and {changed} changed" if self.drift.metrics else ""
            return (
                f"The second breaks {counted(len(failures), 'limit')}, and the first breaks the "
                f"same{more}: {failures[0].sentence()}."
            )
        back = self.recovered
        if back:
            return f"The second keeps all limits, and the first broke {len(back)} of them."
        if self.drift.metrics:
            worst = max(
                self.drift.metrics,
                key=lambda each: abs(each.standard_errors or 0.0),
            )
            return f"{changed} changed, none beyond a limit: most {worst.sentence()}."
        if self.drift.behaviours:
            return f"No metric changed, but a behaviour: {self.drift.behaviours[0].sentence()}."
        total = counted(len(self.second.verdict.metrics), "metric")
        if self.drift.same_ramps:
            return f"Nothing changed in {total}, on the same level-1b data."
        return f"Nothing changed beyond the noise in {total}: the level-1b data are others."

    def text(self):
        """Return the answer for a terminal, with a table of what changed."""
        lines = [
            f"{which}: {side.name} (jwst {side.build}), {side.verdict.outcome.word}"
            for which, side in zip(("First", "Second"), self._sides, strict=True)
        ]
        lines += [f"{each.name}: {each.sentence}" for each in self.products.images]
        lines += [self.drift.table()] if self.drift.metrics else []
        return "\n".join([*lines, "", headline(self.outcome, self.sentence())])

    def html(self):
        """Return the page, all of it in one file."""
        sides = [_side_row(*each) for each in zip(("first", "second"), self._sides, strict=True)]
        images = [shown_images(each) for each in self.products.images]
        return render(
            "report/comparison.html.j2",
            title=f"jwst {self.first.build} and jwst {self.second.build}",
            outcome=self.outcome,
            sentence=self.sentence(),
            scope=[f"{each.name}: {each.sentence}" for each in self.products.images],
            sides=sides,
            images=images,
            no_images=self.products.reason,
            changed=self._changed_rows(),
            behaviours=[(each.aspect, each.old, each.new) for each in self.drift.behaviours],
            remarks=self._remarks(),
            setup=_setup_rows(*(side.verdict.provenance for side in self._sides)),
            headers=self.products.headers,
            metrics=self._metric_rows(),
            style=Markup(looks()["report.css"].decode()),  # noqa: S704 - the suite's own
            version=version("miri-background-validation"),
        )

    @property
    def _sides(self):
        """Both results."""
        return self.first, self.second

    def _pairs(self):
        """Return the metrics of both results, each with the other's, None where it has none."""
        first, second = ({each.key: each for each in side.verdict.metrics} for side in self._sides)
        return [(first.get(key), second.get(key)) for key in dict.fromkeys([*second, *first])]

    def _changed_rows(self):
        """Return a row for each metric that changed, what breaks a limit first."""
        changed = {each.key: each for each in self.drift.metrics}
        pairs = [pair for pair in self._pairs() if (pair[1] or pair[0]).key in changed]
        pairs.sort(key=lambda pair: pair[1] is None or pair[1].passed)
        return [
            _metric_row(*pair, changed[(pair[1] or pair[0]).key].standard_errors) for pair in pairs
        ]

    def _metric_rows(self):
        """Return a row for each metric."""
        return [_metric_row(*pair) for pair in self._pairs()]

    def _remarks(self):
        """Return findings and advisories that only one of the results has."""
        rows = []
        for kind in ("findings", "advisories"):
            first, second = (
                {each.name: each.sentence for each in getattr(side.verdict, kind)}
                for side in self._sides
            )
            for name in dict.fromkeys([*first, *second]):
                if (name in first) != (name in second):
                    which = "first" if name in first else "second"
                    rows.append((name, f"only the {which}", first.get(name) or second.get(name)))
        return rows


def comparison_of(first, second):
    """Return what changed from one result to another.

    Parameters
    ----------
    first, second : Side
        The results.

    Returns
    -------
    Comparison
        With images where both have products.
    """
    drift = compare(second.verdict, first.verdict, first.name)
    return Comparison(first, second, drift, compared_products(first, second))


def _side_row(which, side):
    """Return a row of what is compared."""
    provenance = side.verdict.provenance
    return (
        which,
        side.name,
        f"jwst {side.build}",
        Part(outcome=side.verdict.outcome.word),
        day(provenance["started"]),
        f"{len(side.verdict.metrics)}",
    )


def _metric_row(old, new, standard_errors=None):
    """Return a row of one metric of two results."""
    either = new or old
    errors = "" if standard_errors is None else f"{standard_errors:+.2f}"
    return (
        either.name,
        either.place(),
        *("–" if each is None else each.value_text() for each in (old, new)),
        errors,
        either.limit_text(),
        either.unit,
        strip(old, new) or "–",
    )


def shown_images(compared):
    """Return what a page has to know of one kind of image.

    Parameters
    ----------
    compared : ComparedImages
        Of two results.

    Returns
    -------
    dict
        Name, sentence and frames, pictures in them.
    """
    return {
        "name": compared.name,
        "sentence": compared.sentence,
        "frames": [
            {"words": words, "source": _inline(picture.content), **_described(picture)}
            for words, picture in compared.frames
        ],
    }


def _inline(content):
    """Return a picture as a page has it inside."""
    return f"data:image/png;base64,{b64encode(content).decode()}"


def _described(picture):
    """Return alternative text and size of a picture on the page."""
    alt, _, size = description_of(picture.content)
    width, height = (round(pixels / SCALE) for pixels in size)
    return {"alt": alt, "width": width, "height": height}


def _flat(provenance):
    """Return what a result was made with, by words."""
    flat = {words: provenance.get(key) for words, key in _CIRCUMSTANCES.items()}
    flat |= provenance["versions"]
    flat |= {
        f"{kind}: {name}": value
        for kind in ("observation", "calibration")
        for name, value in provenance.get(kind, {}).items()
    }
    return flat | {
        f"{kind}: {name}": checksum and checksum[:_SHOWN]
        for kind in _FILES
        for name, checksum in provenance.get(kind, {}).items()
    }


def _setup_rows(first, second):
    """Return what the results were made with, where that differs: what, and both values."""
    both = _flat(first), _flat(second)
    names = dict.fromkeys([*both[0], *both[1]])
    differ = [name for name in names if both[0].get(name) != both[1].get(name)]
    many = [
        kind for kind in _FILES if sum(name.startswith(f"{kind}:") for name in differ) > _LARGEST
    ]
    rows = [
        (name, *("–" if each.get(name) is None else str(each[name]) for each in both))
        for name in differ
        if not name.startswith(tuple(f"{kind}:" for kind in many))
    ]
    return rows + [(kind, f"more than {_LARGEST} files differ", "") for kind in many]
