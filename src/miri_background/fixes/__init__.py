"""Candidate fixes of the background step, on trial: the installed step, and small changes to it."""
