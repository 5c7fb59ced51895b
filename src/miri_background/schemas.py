"""JSON that is written and read, checked against the schemas of this suite."""

from functools import lru_cache

__all__ = ["NotAsDescribed", "require"]


class NotAsDescribed(ValueError):
    """What a JSON file holds, or should get, is not what its schema describes."""


def require(content, schema):
    """Require that content is what a schema describes.

    Parameters
    ----------
    content : object
        As `json` reads it.
    schema : callable
        Returns the JSON schema.

    Raises
    ------
    NotAsDescribed
        Naming what is missing or wrong.
    """
    # Imported here: what has no JSON file to look at need not wait for it.
    from jsonschema.exceptions import best_match

    error = best_match(_validator(schema).iter_errors(content))
    if error is not None:
        raise NotAsDescribed(error.message)


@lru_cache
def _validator(schema):
    """Return what checks content, made once for each schema: a history has thousands of files."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())
