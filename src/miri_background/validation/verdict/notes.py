"""What a verdict says beside its metrics: what the build does, and what to take care of."""

from miri_background.tables import html_table

__all__ = ["Notes"]


class Notes:
    """Behaviours and advisories of a verdict, for people.

    Parameters
    ----------
    verdict : Verdict
        Whose behaviours and advisories.
    """

    def __init__(self, verdict):
        self._behaviours, self._advisories = verdict.behaviours, verdict.advisories

    def text(self):
        """Return a paragraph for each, for a terminal; empty if there is none."""
        lines = [
            f"{each.aspect}: {each.name} (known in {each.known_in})\n  {each.worth}"
            for each in self._behaviours
        ]
        lines += [
            f"advisory, {each.name}: {each.sentence}\n  {each.advice}" for each in self._advisories
        ]
        return "\n".join(lines)

    def __repr__(self):
        return self.text()

    def _repr_html_(self):
        """Return two tables for notebook and page."""
        return html_table(
            "Behaviours of this build",
            ("the step's choice", "in this build", "releases known to do so", "on these data"),
            [(each.aspect, each.name, each.known_in, each.worth) for each in self._behaviours],
        ) + html_table(
            "Advisories",
            ("advisory", "what these products have", "what to do"),
            [(each.name, each.sentence, each.advice) for each in self._advisories],
        )
