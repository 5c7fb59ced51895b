"""Limits, outcomes, baselines, and what changed since."""
