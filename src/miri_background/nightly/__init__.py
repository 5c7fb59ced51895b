"""A night of observations: plan, preflight, processes, history."""
