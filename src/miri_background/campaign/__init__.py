"""Many observations, many ways to make a background, all against the same truth."""
