"""Progress bars where somebody can see them move."""

from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook

__all__ = ["progress_bar"]

# On a terminal, which tqdm finds out, and in a notebook.  In a log, each step of a bar would be
# another line.
_DISABLED = False if issubclass(tqdm, tqdm_notebook) else None


def progress_bar(description, items=None, total=None, silent=False):
    """Return a progress bar that goes away at its end.

    Parameters
    ----------
    description : str
        What is done.
    items : iterable, optional
        What it goes through.
    total : int, optional
        How many there are, where `items` does not tell.
    silent : bool, optional
        Whether nothing is shown.

    Returns
    -------
    tqdm.tqdm
        Iterable as `items`.
    """
    return tqdm(items, description, total, leave=False, disable=True if silent else _DISABLED)
