"""One case carried out: a row, whatever happens."""

import os
import platform
import time
from functools import lru_cache
from importlib.metadata import version

from miri_background.campaign.scene import Scene
from miri_background.campaign.scores import SCORES, scored
from miri_background.campaign.taken import memory_needed, take
from miri_background.files import content_key
from miri_background.memory import own_peak_memory
from miri_background.outcomes import Cause, SetUpWrong, cause_of, error_in_words
from miri_background.provenance import pipeline_fingerprint, source_fingerprint, versions

__all__ = ["code_fingerprint", "failed_row", "rows_of_cases"]

# What decides the numbers of a case, beside scene and way.
_SOURCES = (
    *("campaign.scene", "campaign.light", "campaign.rates", "campaign.taken"),
    *("campaign.scores", "campaign.ways", "instrument", "simulation.particles"),
    *("validation.prediction.slopes", "validation.prediction.known_detector"),
    *("validation.prediction.clipping", "validation.prediction.pixel_statistics"),
)
_LIBRARIES = ("numpy", "scipy", "astropy", "photutils", "astro-sedpy")
_DIGITS = 10  # significant digits of scores: what processors round otherwise is left out


@lru_cache(maxsize=1)
def code_fingerprint():
    """Return a key of all code that decides the numbers of a case."""
    return content_key(
        source_fingerprint(*(f"miri_background.{each}" for each in _SOURCES)),
        pipeline_fingerprint(),
        [versions()[each] for each in _LIBRARIES],
    )


def rows_of_cases(cases, code, most_memory):
    """Return a row for each of some cases of one scene; those that fail have a cause.

    Parameters
    ----------
    cases : list of Case
        All of one scene, which is drawn once.
    code : str
        `code_fingerprint` of who asks.
    most_memory : float
        Bytes that this process may take.

    Returns
    -------
    list of dict
        Rows by the names of columns.

    Raises
    ------
    SetUpWrong
        If this process runs other code than who asks.
    """
    if code_fingerprint() != code:
        msg = (
            f"The worker {_worker()} has another version of miri-background-validation "
            f"({version('miri-background-validation')}, code {code_fingerprint()}, asked for "
            f"{code}) or of what it computes with: install the same packages there."
        )
        raise SetUpWrong(msg)
    needed = memory_needed(cases[0].scene)
    if needed > most_memory:
        reason = (
            f"The case needs {needed / 1e9:.2f} GB and a worker may take {most_memory / 1e9:.2f} "
            "GB: take a smaller square or fewer exposures."
        )
        return [failed_row(case, code, Cause.MEMORY.word, reason) for case in cases]
    begun = time.process_time()
    try:
        taken = take(cases[0].scene)
    except Exception as error:  # noqa: BLE001 - a row says what it was
        return [_row_of_error(case, code, error) for case in cases]
    drawing = (time.process_time() - begun) / len(cases)
    return [_row(case, code, taken, drawing) for case in cases]


def _row(case, code, taken, drawing):
    """Return the row of one case on rates that are drawn."""
    begun = time.process_time()
    try:
        subtracted = case.way.subtract(taken)
        seconds = time.process_time() - begun
        scores = scored(taken, subtracted)
    except Exception as error:  # noqa: BLE001 - a row says what it was
        return _row_of_error(case, code, error)
    flux = float(taken.science_light[0].targets.flux)
    return {
        **_described(case, code),
        "status": "done",
        "target_flux": flux,
        **{name: _rounded(scores[name]) for name in SCORES},
        "way_seconds": seconds,
        "case_seconds": time.process_time() - begun + drawing,
        "peak_memory": own_peak_memory(),
        "worker": _worker(),
    }


def _rounded(value):
    """Return a number with so many digits as processors agree on."""
    return float(f"{value:.{_DIGITS}g}")


def _described(case, code):
    """Return the columns that are known before a case is carried out."""
    parameters = case.scene.model_dump(mode="json")
    return {
        "key": content_key(case.content, code),
        "way": case.way.words,
        "way_kind": case.way.kind,
        "way_parameters": case.way.model_dump_json(),
        "sigma": float(getattr(case.way, "sigma", float("nan"))),
        **{name: parameters[name] for name in Scene.model_fields},
        "code": code,
        "jwst": version("jwst"),
    }


def _row_of_error(case, code, error):
    """Return the row of a case that an error ended."""
    return failed_row(
        case, code, cause_of(type(error).__name__, str(error)).word, f"{error_in_words(error)}."
    )


def failed_row(case, code, cause, reason):
    """Return the row of a case that failed.

    Parameters
    ----------
    case : Case
        Which one.
    code : str
        `code_fingerprint` of who asked.
    cause : str
        Word of a `Cause`.
    reason : str
        One sentence.

    Returns
    -------
    dict
        Without scores.
    """
    return {
        **_described(case, code),
        "status": "failed",
        "cause": cause,
        "reason": reason,
        "worker": _worker(),
    }


def _worker():
    """Return machine and process."""
    return f"{platform.node()}:{os.getpid()}"
