"""From products to a verdict: read, predict, measure, judge."""
