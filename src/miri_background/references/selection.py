"""CRDS's choice of reference files for an observation, by its own rules."""

import logging
import warnings
from contextlib import contextmanager
from pathlib import Path

from miri_background.outcomes import ReferencesUnfit
from miri_background.reading import open_regular
from miri_background.references.needs import AbsentReference, NotCovered
from miri_background.simulation.level1b import START

__all__ = ["NO_FILE", "Selection", "crds_parameters", "one_line", "silence"]

NO_FILE = "N/A"
_NOT_FOUND = "NOT FOUND"  # how CRDS begins its answer when it selects no file
_UNKNOWN = "Unknown reference type"

# When the simulated exposures are taken; a reference has a date from which it is used.
_DATE, _TIME = START.split("T")


def crds_parameters(observation):
    """Return what CRDS selects references by: header values of an observation's exposures.

    Parameters
    ----------
    observation : Observation
        The observation.

    Returns
    -------
    dict
        As `get_crds_parameters` of its level-1b models gives them, less what no
        rule for the imager asks for.
    """
    return {
        "meta.telescope": "JWST",
        "meta.instrument.name": "MIRI",
        "meta.instrument.detector": "MIRIMAGE",
        "meta.instrument.filter": observation.filter,
        "meta.instrument.lamp_state": "OFF",
        "meta.instrument.ccc_state": "OPEN",
        "meta.exposure.type": "MIR_IMAGE",
        "meta.exposure.readpatt": observation.readout_pattern,
        "meta.exposure.nints": observation.integrations,
        "meta.exposure.ngroups": observation.groups,
        "meta.exposure.nframes": 1,
        "meta.exposure.groupgap": 0,
        "meta.subarray.name": observation.subarray,
        "meta.visit.tsovisit": False,
        "meta.observation.date": _DATE,
        "meta.observation.time": _TIME,
    }


@contextmanager
def silence():
    """Keep log lines and warnings of the readers to themselves: findings say it in words."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class Selection:
    """CRDS's choice of files for one observation, from the cache that the environment names."""

    def __init__(self, observation, context):
        # Imported here: a caller may still set the environment that CRDS reads.
        import crds

        self._crds = crds
        self._parameters = crds_parameters(observation)
        self._context = context
        try:
            self.name("mask")  # reads all rules
        except NotCovered:
            pass  # the findings say so
        except (Exception, SystemExit) as error:
            msg = (
                f"CRDS cannot read the rules that select references ({one_line(error)}): "
                "name a complete cache, or a CRDS server."
            )
            raise ReferencesUnfit(msg) from error

    def name(self, reftype):
        """Return the name of the file of a type, or "N/A"."""
        answer = self._crds.getrecommendations(
            self._parameters, reftypes=[reftype], context=self._context, observatory="jwst"
        )[reftype]
        if NO_FILE in answer.upper():
            return NO_FILE
        if answer.startswith(_NOT_FOUND):
            why = " ".join(answer.removeprefix(_NOT_FOUND).split())
            remedy = (
                "the context is older than this build of jwst, choose a newer one"
                if why.startswith(_UNKNOWN)
                else "choose a context that covers the observation"
            )
            raise NotCovered(f"CRDS selects none ({why})", remedy)
        return answer

    def place(self, name):
        """Return the path that a file has in the cache, there or not."""
        return Path(self._crds.locate_file(name, "jwst"))

    def path(self, reftype, name):
        """Return the path of a file in the cache, fetched first where there is a server."""
        path = self.place(name)
        if not path.exists():
            try:
                self._crds.getreferences(
                    self._parameters,
                    reftypes=[reftype],
                    context=self._context,
                    observatory="jwst",
                )
            except (Exception, SystemExit) as error:
                raise AbsentReference(
                    f"it is not in the cache, at {path}",
                    "copy it there, or give the URL of a CRDS server",
                ) from error
        open_regular(path).close()  # readers of the pipeline would wait for a pipe
        return path


def one_line(error):
    """Return the kind and the first line of an error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
