"""The pages that tell how the last night went: sources from the history, built by Sphinx."""
