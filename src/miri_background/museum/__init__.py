"""The museum of known bugs: cases as data, and what builds of the pipeline do in them."""
