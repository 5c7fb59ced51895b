"""A synthetic CRDS cache, made from the constants that the simulator uses too.

The pipeline finds its reference files through CRDS's own rules, as it does in
operations; only the files are the suite's.  `arrays` holds the reference files,
`mappings` the rules that select them, `cache` the directory that holds both.
"""
