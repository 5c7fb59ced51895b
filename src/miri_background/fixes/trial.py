"""The trial of candidate fixes: each background step on the same data with truth, resumable."""

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from miri_background.calibration.pipeline import pipeline_log
from miri_background.calibration_choice import Calibration
from miri_background.files import content_key, write_text_whole
from miri_background.fixes.errors import errors_scores
from miri_background.fixes.flags import flags_scores
from miri_background.fixes.pieces import pieces
from miri_background.fixes.place import place_scores
from miri_background.fixes.score import Score
from miri_background.fixes.taken import exposed
from miri_background.fixes.tried import Tried, together
from miri_background.museum.rates import calibrated_run
from miri_background.parallel import completed, process_pool
from miri_background.places import writable
from miri_background.provenance import pipeline_fingerprint, source_fingerprint
from miri_background.reading import read_json
from miri_background.references.choice import use_references

__all__ = ["try_fixes"]

_SOURCES = ("miri_background.fixes", "miri_background.instrument", "miri_background.validation")


def try_fixes(cases, home, seeds=4, workers=0):
    """Try the installed background step and its variants on the same data with truth.

    Parameters
    ----------
    cases : sequence of str
        Some of `CASES`.
    home : path-like
        Where observations and what came out are kept.
    seeds : int, optional
        How many observations there are of each small kind.
    workers : int, optional
        Number of processes; 0 for one per processor core.

    Returns
    -------
    Tried
        What was found before is not tried again.

    Raises
    ------
    CannotJudge
        If observations cannot be made or the directory cannot be written.
    """
    home = Path(home).expanduser().absolute()
    with writable(home):
        (home / "results").mkdir(parents=True, exist_ok=True)
    every = pieces(cases, seeds)
    missing = [each for each in every if _kept(home, each) is None]
    runs = {}
    for piece in missing:
        for words, observation in piece.observations.items():
            key = words, piece.seed
            if key not in runs:
                runs[key] = calibrated_run(observation, "rate", home / "observations", workers)
    if missing:
        before = dict(os.environ)
        try:
            for run in runs.values():
                use_references(run.observation, Calibration())
            with process_pool(workers) as executor:
                items = [
                    (
                        home,
                        each,
                        _key(each),
                        {words: runs[words, each.seed] for words in each.observations},
                    )
                    for each in missing
                ]
                completed(executor, _try, items, "Trying background steps")
        finally:
            os.environ.clear()
            os.environ.update(before)
    scores = [score for piece in every for score in _kept(home, piece)]
    images = {piece.words: _images(home, piece) for piece in every if piece.case == "place"}
    return Tried(together(scores), tuple(cases), seeds, images)


def _key(piece):
    """Return the key of what decides what comes out."""
    return content_key(
        asdict(piece),
        [each.key for each in piece.observations.values()],
        pipeline_fingerprint(),
        source_fingerprint(*_SOURCES),
    )


def _kept(home, piece):
    """Return the scores of an earlier trial, None if there are none."""
    try:
        content = read_json(home / "results" / f"{piece.name}.json")
        if content["key"] != _key(piece):
            return None
        return [_read(each) for each in content["scores"]]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _read(content):
    """Return a score from what was written; null is not a number."""
    return Score(**{name: math.nan if value is None else value for name, value in content.items()})


def _written(score):
    """Return a score as it is written."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(score).items()
    }


def _try(item):
    """Try the steps of a piece, and keep what came out."""
    home, piece, key, runs = item
    (science,), backgrounds = exposed(runs[piece.data])
    with pipeline_log(home / "results" / f"{piece.name}.log"):
        if piece.case == "errors":
            scores = errors_scores(piece.data, science, backgrounds, piece.counts, piece.flat)
        elif piece.case == "flags":
            scores = flags_scores(piece.data, science, backgrounds, piece.counts, piece.seed)
        else:
            (count,) = piece.counts
            others = exposed(runs[piece.other])[1][:count]
            scores, images = place_scores(piece.words, science, others)
            _keep_images(home, piece, images)
    content = {"key": key, "scores": [_written(each) for each in scores]}
    write_text_whole(
        home / "results" / f"{piece.name}.json",
        json.dumps(content, indent=1) + "\n",
        ours=Path.is_file,
    )


def _keep_images(home, piece, images):
    """Keep what is left after the subtraction."""
    place = home / "results" / f"{piece.name}.npz"
    aside = place.with_suffix(".part.npz")
    np.savez_compressed(aside, **{each: plane.astype(np.float32) for each, plane in images.items()})
    aside.replace(place)


def _images(home, piece):
    """Return what `_keep_images` has kept; nothing, if somebody has removed or damaged it."""
    try:
        with np.load(home / "results" / f"{piece.name}.npz") as kept:
            return dict(kept)
    except (OSError, ValueError, BadZipFile):
        return {}
