"""The museum of known bugs: cases as data, each of which can be tried with any build."""
