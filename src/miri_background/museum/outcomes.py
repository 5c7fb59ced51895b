"""How a build did in a case: one list of words for terminal, files and pages."""

__all__ = ["DID_NOT_END", "NO_ENVIRONMENT", "OUTCOMES"]

NO_ENVIRONMENT = "no environment"
# What did not end by itself, or ended in another way than by an exception.
DID_NOT_END = ("timed out", "took too much memory", "died")
OUTCOMES = (
    "correct",  # what the documentation says
    "wrong",  # ended without an error, and products are not what the documentation says
    "crashed",  # ended with an exception
    "refused",  # the build says that it skipped the step, and leaves the data as they were
    *DID_NOT_END,
    "not judged",  # the suite could not read what was written
    NO_ENVIRONMENT,
)
