"""Numbers: exact, statistical, against the truth, behaviours, advisories."""
