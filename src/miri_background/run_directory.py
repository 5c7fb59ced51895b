"""The directories of a run: where each product is, and that it belongs to this run.

An observation has a directory, and in it are its ramps once::

    F770W-FULL-20groups-seed770-e10808/     an observation
        observation.json  uncal/  truth/
        jwst-3.0.0-synthetic/               what a build makes of it with some references
            rate/
            sigma2-maxiters3/               a run: what a choice of clipping makes of the rates
                calibration.json  image2/  figures/  logs/  metrics.json
                image3/                 the mosaic, where the calibration goes so far

The directory of the run also has links to all that it was made from.
"""

import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

from miri_background.calibration.builds import pipeline_of, pipeline_stem
from miri_background.calibration_choice import Calibration
from miri_background.files import (
    ProductRecords,
    checksum,
    for_each_file,
    replace_whole,
    require_own,
    write_text_whole,
)
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, DirectoryRefused, DiskFailed
from miri_background.parameters import InvalidParameter
from miri_background.places import locked, refuse_foreign, writable
from miri_background.reading import NotRegularFile, read_json, read_text

__all__ = [
    "ASSOCIATION_NAME",
    "MOSAIC_NAME",
    "RunDirectory",
    "run_path",
    "space_needed",
]

# What calwebb_image3 calls its products, and puts into the names of exposures with outliers.
MOSAIC_NAME, ASSOCIATION_NAME = "mosaic", "a3001"

# Measured, bytes per pixel: what an exposure has, whatever its groups ...
_BYTES_OF_TRUTH = 10
_BYTES_PER_GROUP = 2.55  # 16-bit pixels and reference output

# ... and each of its rates, subtracted images and calibrated images, and combined background.
_BYTES_PER_IMAGE = 21
# ... and what calwebb_image3 writes: an exposure with its world coordinates, and of the mosaic's
# pixels, which are a quarter more, values, errors, parts of the variance, weights and segments.
_BYTES_PER_OUTLIERS, _BYTES_PER_MOSAIC = 33, 40
_BYTES_OF_TABLES = 2e6  # catalogue and cosmic rays of an exposure, headers
_MARGIN = 1.2  # files written aside, logs, figures, notebook

# Locks that this process holds, by directory: a notebook cell that is run again takes
# its own directory over.
_held = {}


def space_needed(observation, calibration):
    """Return how much space the products of a run take, in bytes, with a margin.

    Parameters
    ----------
    observation : Observation
        What is observed.
    calibration : Calibration
        What is made of it.

    Returns
    -------
    float
        Bytes.
    """
    total = 0.0
    for exposure in exposures(observation):
        readout = exposure.readout
        rows, columns = readout.window.shape
        # While rateints are written, calwebb_detector1 has written the rate, too.
        layers = readout.integrations + 1 if calibration.rate_product == "rateints" else 1
        images = 3 * layers + 1 if exposure.field == "science" else layers
        per_pixel = _BYTES_OF_TRUTH + _BYTES_PER_GROUP * readout.groups * readout.integrations
        per_pixel += _BYTES_PER_IMAGE * images
        if calibration.through == "image3" and exposure.field == "science":
            per_pixel += _BYTES_PER_OUTLIERS + (_BYTES_PER_MOSAIC if exposure.dither == 0 else 0)
        total += _BYTES_OF_TABLES + rows * columns * per_pixel
    return _MARGIN * total


def _verdicts_record(root):
    """Return the path of the record of verdicts of a run directory."""
    return Path(root) / ".records" / "verdicts"


def _recorded_verdicts(root):
    """Return the SHA-256 of each metrics file that was written in a run directory."""
    try:
        return read_text(_verdicts_record(root)).split()
    except (FileNotFoundError, NotRegularFile):
        return []


def run_path(location, calibration, purpose=None):
    """Return the path of a run in the directory of its observation.

    Parameters
    ----------
    location : path-like
        The observation's directory.
    calibration : Calibration
        What is made of it.
    purpose : str, optional
        Name of the run's own directory; by default the calibration's words.

    Returns
    -------
    pathlib.Path
        Absolute.
    """
    build = f"{pipeline_stem(calibration)}-{calibration.references_words}"
    observed = Path(location).expanduser().resolve()
    return observed / build / (purpose or calibration.words)


class RunDirectory:
    """One run's products on disk.

    Parameters
    ----------
    location : str or path-like
        The observation's directory: "temporary" for one that is removed when the process ends,
        "kept" for one below ``runs/`` of the current directory, or a path.
    observation : Observation
        What is observed; a directory serves one observation only.
    calibration : Calibration, optional
        What is made of it; by default all parameters have their defaults.
    purpose : str, optional
        Name of the run's own directory; by default the calibration's words.

    Attributes
    ----------
    observed, calibrated, root : pathlib.Path
        Directories of the observation, of its rates, and of the run.

    Raises
    ------
    CannotJudge
        If the directory cannot be written, has too little space, holds another
        observation, or is being used by another run.
    """

    def __init__(self, location, observation, calibration=None, purpose=None):
        self.observation = observation
        self.calibration = Calibration() if calibration is None else calibration
        self._temporary = None
        with writable(location):
            if str(location) == "temporary":
                self._temporary = tempfile.TemporaryDirectory(prefix="miri-background-")
                location = self._temporary.name
            elif str(location) == "kept":
                location = Path("runs") / f"{observation.words}-{observation.key[:6]}"
            self.root = run_path(location, self.calibration, purpose)
            self.calibrated = self.root.parent
            self.observed = self.calibrated.parent
            self.observed.mkdir(parents=True, exist_ok=True)
            refuse_foreign(self.observed)
            self.records = ProductRecords(self.observed)
            self.release()
            _held[self.observed] = locked(self.observed, "lock")
        try:
            with writable(self.observed):
                self._claim(self.observed / "observation.json", self.observation)
                # What somebody has edited is refused before the work, not after it.
                require_own(self.metrics, ours=self._is_verdict)
                self.remove_leftovers()
                kept = ["image2", "figures", "logs"]
                for name in kept + ["image3"] * (self.calibration.through == "image3"):
                    (self.root / name).mkdir(parents=True, exist_ok=True)
                self._claim(self.root / "calibration.json", self.calibration)
                for target in (
                    self.observed / "observation.json",
                    self.observed / "uncal",
                    self.observed / "truth",
                    self.calibrated / "rate",
                ):
                    self._link(target)
            self._require_space()
        except CannotJudge:
            self.release()
            raise

    @cached_property
    def pipeline(self):
        """The pipeline that calibrates; its environment is made if it is not there."""
        return pipeline_of(self.calibration)

    def remove_leftovers(self):
        """Remove directories in which a run was writing that was killed, or interrupted."""
        for leftover in self.observed.glob("**/.writing-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _link(self, target):
        """Let the run's directory show a part of what it is made from, which is a directory."""
        if target.suffix == "":
            target.mkdir(exist_ok=True)
        link = self.root / target.name
        if not os.path.lexists(link):
            link.symlink_to(os.path.relpath(target, self.root))

    def release(self):
        """Let another process use the directory."""
        if self.observed in _held:
            _held.pop(self.observed).close()

    def _claim(self, path, mine):
        """Write what is observed or made of it, or make sure that the directory is of that."""
        if not os.path.lexists(path):
            write_text_whole(path, json.dumps(mine.model_dump(mode="json"), indent=1) + "\n")
            return
        try:
            found = type(mine).create(**read_json(path))
        except (NotRegularFile, ValueError, TypeError, InvalidParameter):
            found = None
        if found != mine:
            kind = "observation" if isinstance(mine, Observation) else "calibration"
            msg = (
                f"{path} describes another {kind}: use another working directory, "
                "or the parameters of that one."
            )
            raise DirectoryRefused(msg)

    def _require_space(self):
        """Refuse to start what cannot be finished for lack of space."""
        there = sum(
            entry.stat().st_size
            for name in ("uncal", "truth", "rate", "image2", "image3")
            for entry in (self.root / name).glob("*.fits")
            if entry.is_file() and not entry.is_symlink()
        )
        needed = space_needed(self.observation, self.calibration) - there
        free = shutil.disk_usage(self.observed).free
        if free < needed:
            msg = (
                f"{self.observed} has {free / 1e9:.2f} GB free and this run needs "
                f"{needed / 1e9:.2f} GB: free space there, or name another working directory."
            )
            raise DiskFailed(msg)

    def unfinished(self, key):
        """Return the exposures whose truth and level-1b file are not both there under a key.

        Every file is checked, and a foreign one is reported before any work begins.

        Parameters
        ----------
        key : str
            Of everything that decides what the files hold.

        Returns
        -------
        list of Exposure
            In the order they are taken.
        """
        files = {
            exposure: (self.truth(exposure), self.uncal(exposure))
            for exposure in exposures(self.observation)
        }
        every = {path: path for paths in files.values() for path in paths}
        for_each_file(self.records.refuse_foreign, every)
        return [
            exposure
            for exposure, paths in files.items()
            if not all(self.records.is_current(path, key) for path in paths)
        ]

    def uncal(self, exposure):
        """Return the path of an exposure's level-1b file."""
        return self.observed / "uncal" / f"{exposure.name}_uncal.fits"

    def truth(self, exposure):
        """Return the path of an exposure's truth file."""
        return self.observed / "truth" / f"{exposure.name}_truth.fits"

    def rate(self, exposure):
        """Return the path of an exposure's rate file, a cube if integrations are kept apart."""
        name = f"{exposure.name}_{self.calibration.rate_product}.fits"
        return self.calibrated / "rate" / name

    def ramp(self, exposure):
        """Return the path of an exposure's calibrated ramp, where it is kept."""
        return self.calibrated / "rate" / f"{exposure.name}_ramp.fits"

    def image2(self, exposure, suffix):
        """Return the path of a product of calwebb_image2."""
        return self.root / "image2" / f"{exposure.name}_{suffix}.fits"

    def products(self, exposure):
        """Return the paths of what calwebb_image2 makes of a science exposure.

        The step's output, the background that it subtracted, and the pipeline's final product.
        """
        kind = self.calibration.integrations_suffix
        suffixes = (f"bsub{kind}", "combinedbackground", f"cal{kind}")
        return [self.image2(exposure, suffix) for suffix in suffixes]

    def outliers(self, exposure):
        """Return the path of a science exposure in which calwebb_image3 has flagged outliers."""
        # calwebb_image3 puts the name of the association between name and suffix.
        return self.root / "image3" / f"{exposure.name}_{ASSOCIATION_NAME}_crf.fits"

    def mosaic(self, suffix, extension="fits"):
        """Return the path of a product of calwebb_image3."""
        return self.root / "image3" / f"{MOSAIC_NAME}_{suffix}.{extension}"

    @property
    def mosaic_association(self):
        """Path of the association that names the exposures of the mosaic."""
        return self.root / "image3" / "image3_asn.json"

    @property
    def products_directories(self):
        """The directories of large files: a run that is judged can do without them."""
        return [
            self.observed / "uncal",
            self.observed / "truth",
            self.calibrated / "rate",
            self.root / "image2",
            self.root / "image3",
        ]

    def association(self, exposure):
        """Return the path of a science exposure's image2 association."""
        return self.root / "image2" / f"{exposure.name}_image2_asn.json"

    @property
    def metrics(self):
        """Path of the metrics file."""
        return self.root / "metrics.json"

    def log(self, name):
        """Return the path of a log file."""
        return self.root / "logs" / f"{name}.log"

    def write_verdict(self, verdict):
        """Write the metrics file of a verdict, and record that it is the suite's.

        Parameters
        ----------
        verdict : Verdict
            What is written.
        """
        with (
            writable(self.root),
            replace_whole(self.metrics, ours=self._is_verdict) as (aside,),
        ):
            verdict.write(aside)
            verdicts = [*_recorded_verdicts(self.root), checksum(aside)]
            # Recorded first: killed in between, it is known whose the file is.
            text = "\n".join(verdicts) + "\n"
            write_text_whole(_verdicts_record(self.root), text, ours=Path.is_file)

    def _is_verdict(self, path):
        """Return whether a metrics file is one that was recorded here."""
        return checksum(path) in _recorded_verdicts(self.root)
