"""What a verdict says beside its metrics: what the build does, and what to take care of."""

from miri_background.tables import html_table

__all__ = ["Notes"]


class Notes:
    """Findings, behaviours and advisories of a verdict, for people.

    Parameters
    ----------
    verdict : Verdict
        Whose findings, behaviours and advisories.
    """

    def __init__(self, verdict):
        self._findings = verdict.findings
        self._behaviours, self._advisories = verdict.behaviours, verdict.advisories

    def text(self):
        """Return a paragraph for each, for a terminal; empty if there is none."""
        lines = [
            f"finding, {each.name}: {each.sentence}\n  {each.advice}" for each in self._findings
        ]
        lines += [
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
        """Return tables for notebook and page: of findings, if any, behaviours and advisories."""
        findings = html_table(
            "Findings about the data",
            ("finding", "what the inputs have", "what to do"),
            [(each.name, each.sentence, each.advice) for each in self._findings],
        )
        return (
            (findings if self._findings else "")
            + html_table(
                "Behaviours of this build",
                ("the step's choice", "in this build", "releases known to do so", "on these data"),
                [(each.aspect, each.name, each.known_in, each.worth) for each in self._behaviours],
            )
            + html_table(
                "Advisories",
                ("advisory", "what these products have", "what to do"),
                [(each.name, each.sentence, each.advice) for each in self._advisories],
            )
        )
