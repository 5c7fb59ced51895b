"""How MIRISim's scene lies on the detector, and its read noise, measured on a small run.

The axes of the scene and the sign of dither positions have changed between versions of
MIRISim, so neither is taken from a document: seven stars show them, once per version.
"""

import json
import math
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from astropy.stats import sigma_clipped_stats
from astropy.utils.exceptions import AstropyUserWarning
from photutils.centroids import centroid_2dg, centroid_sources
from photutils.detection import DAOStarFinder
from photutils.utils.exceptions import NoDetectionsWarning

from miri_background.files import write_text_whole
from miri_background.instrument.aperture import imager_aperture
from miri_background.instrument.footprint import regions
from miri_background.instrument.readout import frame_time, subarrays
from miri_background.instrument.throughput import (
    pivot_wavelength,
    preflight_electrons_per_microjansky,
)
from miri_background.outcomes import CannotJudge
from miri_background.places import writable
from miri_background.reading import read_json
from miri_background.settings import suite_cache
from miri_background.simulation.mirisim.configuration import (
    SceneSource,
    SkyBackground,
    write_configuration,
)
from miri_background.simulation.mirisim.constants import (
    MIRISIM_GAIN,
    MIRISIM_PIXEL_SCALE,
)
from miri_background.simulation.mirisim.installation import working_directory
from miri_background.simulation.mirisim.ramps import read_ramps

__all__ = ["Calibration", "calibration_file", "mirisim_calibration"]

# Stars in units of half the width and height of what is seen: three on two arms of
# different length, which show rotation and parity and differ in flux, and four
# near the corners, whichever way the axes go, which show whether the distortion is the SIAF's.
_ARMS = ((0.0, 0.0), (0.32, 0.0), (0.0, 0.36))
_CORNERS = ((0.7, 0.75), (-0.7, 0.75), (-0.7, -0.75), (0.7, -0.75))
# Electrons in one frame: a tenth of the well in the brightest pixel of the brightest star,
# and many times the noise of the thermal sky at 25 micrometre for the faintest.
_ARM_CHARGES = (220_000.0, 110_000.0, 55_000.0)
_CORNER_CHARGE = 27_000.0
_GROUPS = 6
_OFFSETS = np.array([[0.0, 0.0], [14.0, -9.0]])  # pixels

_EDGE = 12  # pixels around what is searched: glow and steps at the borders of the field
_THRESHOLD = 8.0  # standard deviations
_CLIP = 4.0  # standard deviations: takes 0.1 % off a variance, and stars away
_PIXELS_PER_MICROMETRE = 0.29  # FWHM of the diffraction image over wavelength
_SMALLEST_FWHM = 2.0  # pixel
_MATCH = 15.0  # pixels, more than the distortion bends an affine map at the corners

_AREA_TOLERANCE = 0.05
_SHEAR_TOLERANCE = 0.03
_SHIFT_TOLERANCE = 1.0  # pixel
_MISFIT_TOLERANCE = 1.0  # pixel: less than half the width of a star at 7.7 micrometre
# pixel: half of the four reference columns that SCASim leaves out where it is set so; a filter
# moves a star by 0.8 pixel at most.
_ORIGIN_TOLERANCE = 2.0
# The header has the mean over the whole array, the image the noise of a part of it.
_NOISE_TOLERANCE = 0.1
_ROUNDING = 12**-0.5  # DN, of numbers that are cut to whole ones


@dataclass(frozen=True)
class Calibration:
    """How scene, dithers and noise of MIRISim appear on the detector.

    Parameters
    ----------
    version : str
        Version of MIRISim.
    origin : tuple of float
        Pixel (x, y) of the scene's centre without a dither: 0-based, of the full array.
    matrix : tuple of tuple of float
        d(x, y)/d(Cen) there, pixel / arcsec.
    dither_sign : int
        Stars move by this times the dither position: +1 or -1.
    read_noise : float
        DN in one read, as measured.
    stated_read_noise : float
        DN in one read that the image's header states, RDNOISE.
    misfit : float
        Largest distance of a star from where origin, matrix and the SIAF's distortion
        put it, pixel.
    """

    version: str
    origin: tuple
    matrix: tuple
    dither_sign: int
    read_noise: float
    stated_read_noise: float
    misfit: float

    @property
    def _to_telescope(self):
        """Matrix from offsets in the scene to offsets in V2, V3."""
        return imager_aperture().jacobian(*self.origin) @ np.array(self.matrix)

    def scene_positions(self, x, y):
        """Return the positions in MIRISim's scene, arcsec, that appear at detector pixels.

        Through the distortion, which is the same instrument's here and there; it bends
        the affine map by up to 9 pixels at the corners of the array.

        Parameters
        ----------
        x, y : ndarray
            0-based pixels of the full array, without a dither.

        Returns
        -------
        x, y : ndarray
            ``Cen``, arcsec.
        """
        aperture = imager_aperture()
        offset = np.subtract(
            aperture.pixel_to_v2v3(x, y), np.reshape(aperture.pixel_to_v2v3(*self.origin), (2, 1))
        )
        return tuple(np.linalg.solve(self._to_telescope, offset))

    def scene_angle(self, detector_angle):
        """Return a direction in the scene.

        Parameters
        ----------
        detector_angle : float
            Degrees from +x towards +y on the detector.

        Returns
        -------
        float
            Degrees from the scene's y axis towards its x axis, from 0 to 360.
        """
        angle = np.deg2rad(detector_angle)
        x, y = np.linalg.solve(np.array(self.matrix), [np.cos(angle), np.sin(angle)])
        return float(np.rad2deg(np.arctan2(x, y)) % 360)

    def fault(self, subarray):
        """Return what is wrong with these numbers, in words, or an empty string.

        Parameters
        ----------
        subarray : str
            The scene's centre is on its reference point.

        Returns
        -------
        str
            The first fault.
        """
        read = subarrays()[subarray]
        reference = (read.x_ref, read.y_ref)
        if not math.dist(self.origin, reference) <= _ORIGIN_TOLERANCE:
            found, expected = (
                ", ".join(f"{axis:.1f}" for axis in place) for place in (self.origin, reference)
            )
            return (
                f"the scene's centre at pixel ({found}) of the full array, not at {subarray}'s "
                f"reference point ({expected})"
            )
        stretched = np.linalg.svd(np.array(self.matrix), compute_uv=False)
        density, expected = np.prod(stretched), 1 / np.prod(MIRISIM_PIXEL_SCALE)
        if not abs(density / expected - 1) <= _AREA_TOLERANCE:
            return f"{density:.2f} pixels in a square arcsec, not {expected:.2f}"
        if not stretched[0] / stretched[1] - 1 <= _SHEAR_TOLERANCE:
            return (
                f"scales of {stretched[0]:.3f} and {stretched[1]:.3f} pixel/arcsec, which is no "
                "rotation or reflection"
            )
        if not self.misfit <= _MISFIT_TOLERANCE:
            return (
                f"stars up to {self.misfit:.1f} pixels from where the SIAF's distortion puts them"
            )
        if self.dither_sign not in (-1, 1):
            return f"a dither sign of {self.dither_sign}"
        if not self.read_noise > 0:
            return "noise below that of the photons"
        stated = math.hypot(self.stated_read_noise, _ROUNDING)
        if not abs(self.read_noise / stated - 1) <= _NOISE_TOLERANCE:
            return (
                f"a noise of {self.read_noise:.2f} DN in one read, and RDNOISE = "
                f"{self.stated_read_noise:.2f} DN in its header"
            )
        return ""


def mirisim_calibration(installation, observation):
    """Return how MIRISim's scene lies on the detector, measured once per version.

    Parameters
    ----------
    installation : MIRISim
        What to run where the cache has nothing.
    observation : Observation
        Its filter, subarray and readout pattern are calibrated.

    Returns
    -------
    Calibration
        From the cache, or new.

    Raises
    ------
    CannotJudge
        If MIRISim cannot be run, or what it makes of seven stars is not understood.
    """
    # Kept for all runs, with its log beside it; a damaged one is made anew.
    cached = calibration_file(installation, observation)
    calibration = _read(cached, observation.subarray)
    if calibration is None or calibration.version != installation.version:
        with writable(cached.parent):
            cached.parent.mkdir(parents=True, exist_ok=True)
        calibration = _measured(installation, observation, cached.with_suffix(".log"))
        with writable(cached.parent):
            text = json.dumps(asdict(calibration), indent=1) + "\n"
            # In the suite's own cache, and of no use to anybody if it could not be read.
            write_text_whole(cached, text, ours=Path.is_file)
    return calibration


def calibration_file(installation, observation):
    """Return where the calibration for an observation is kept.

    Parameters
    ----------
    installation : MIRISim
        Its version has calibrations of its own.
    observation : Observation
        As do its filter, subarray and readout pattern.

    Returns
    -------
    pathlib.Path
        A file in the suite's cache; it need not exist.
    """
    name = (
        f"mirisim-{installation.version}-{observation.subarray}-{observation.filter}"
        f"-{observation.readout_pattern}.json"
    )
    return suite_cache() / "mirisim" / name


def _read(path, subarray):
    """Return a calibration from its file, or None where that has none that can be used."""
    try:
        content = read_json(path)
        calibration = Calibration(
            version=str(content["version"]),
            origin=tuple(float(value) for value in content["origin"]),
            matrix=tuple(tuple(float(value) for value in row) for row in content["matrix"]),
            dither_sign=int(content["dither_sign"]),
            read_noise=float(content["read_noise"]),
            stated_read_noise=float(content["stated_read_noise"]),
            misfit=float(content["misfit"]),
        )
        whole = len(calibration.origin) == 2 and np.shape(calibration.matrix) == (2, 2)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return calibration if whole and not calibration.fault(subarray) else None


def _window(subarray):
    """Return slices of rows and columns of a subarray that surely see the sky, borders cut."""
    # A region of the subarray counts its pixels.
    imager = regions(subarray)["imager"]
    return tuple(slice(axis.start + _EDGE, axis.stop - _EDGE) for axis in (imager.y, imager.x))


def _stars(observation):
    """Return the stars of the calibration, those of the arms first, by falling flux."""
    y, x = _window(observation.subarray)
    half = np.array([x.stop - x.start, y.stop - y.start]) / 2 * min(MIRISIM_PIXEL_SCALE)
    time = frame_time(observation.readout_pattern, observation.subarray)
    charges = (*_ARM_CHARGES, *[_CORNER_CHARGE] * len(_CORNERS))
    per_flux = preflight_electrons_per_microjansky(observation.filter) * time
    return [
        SceneSource(*(half * place), charge / per_flux)
        for place, charge in zip((*_ARMS, *_CORNERS), charges, strict=True)
    ]


def _measured(installation, observation, log):
    """Run MIRISim on the calibration's stars and return what they show."""
    short = observation.model_copy(
        update={"groups": _GROUPS, "integrations": 1, "cosmic_ray_rate": 0.0}
    )
    stars = _stars(short)
    with working_directory() as directory:
        write_configuration(
            directory, installation.version, short, SkyBackground(), stars, _OFFSETS
        )
        paths = installation.det_images(directory, len(_OFFSETS), log)
        images = [read_ramps(path, short, log) for path in paths]
    ramps = [image.science[0].astype(float) for image in images]
    scene = np.array([(star.x, star.y) for star in stars])
    found = [_star_positions(ramp[-1] - ramp[0], scene, short, log) for ramp in ramps]
    origin, matrix, misfit = _map(scene, found[0])
    calibration = Calibration(
        version=installation.version,
        origin=tuple(origin.tolist()),
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        dither_sign=_dither_sign(found[1] - found[0], log),
        read_noise=_read_noise(ramps[0], short),
        stated_read_noise=images[0].read_noise,
        misfit=misfit,
    )
    fault = calibration.fault(short.subarray)
    if fault:
        raise _not_understood(fault, log)
    return calibration


def _not_understood(fault, log):
    """Return the error for a calibration that does not make sense."""
    msg = (
        f"MIRISim's test image of {len(_ARMS) + len(_CORNERS)} stars shows {fault}: this version "
        f"cannot be used, see its log, {log}, or use the embedded simulator."
    )
    return CannotJudge(msg)


def _star_positions(image, scene, observation, log):
    """Return the pixels (stars, 2) of the calibration's stars in an image of a subarray.

    Those of the arms are the three brightest; the others are looked for where the affine
    map through the three puts them.
    """
    window = _window(observation.subarray)
    _, sky, noise = sigma_clipped_stats(image[window], sigma=3.0)
    fwhm = max(_PIXELS_PER_MICROMETRE * pivot_wavelength(observation.filter), _SMALLEST_FWHM)
    clean = image - sky
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        table = DAOStarFinder(_THRESHOLD * noise, fwhm)(clean[window])
    if table is None or len(table) < len(scene):
        raise _not_understood(f"{0 if table is None else len(table)} stars", log)
    table.sort("flux", reverse=True)
    rows, columns = window
    detected = np.column_stack([table["x_centroid"], table["y_centroid"]])
    detected += (columns.start, rows.start)
    arms = detected[: len(_ARMS)]
    # Three points make the affine map exact.
    design = np.column_stack([np.ones(len(scene)), scene])
    expected = design @ np.linalg.solve(design[: len(_ARMS)], arms)
    distance = np.linalg.norm(expected[:, np.newaxis] - detected, axis=-1)
    if np.any(distance.min(axis=1) > _MATCH):
        lost = int(np.count_nonzero(distance.min(axis=1) > _MATCH))
        raise _not_understood(f"{lost} stars in places that fit no rotation or reflection", log)
    rough = detected[distance.argmin(axis=1)]
    box = 2 * round(2 * fwhm) + 1
    with warnings.catch_warnings():
        # A fit that went astray is seen in what it gives.
        warnings.simplefilter("ignore", AstropyUserWarning)
        x, y = centroid_sources(clean, *rough.T, box_size=box, centroid_func=centroid_2dg)
    if not np.all(np.isfinite([x, y])):
        raise _not_understood("stars without a centre", log)
    read = subarrays()[observation.subarray]
    return np.column_stack([x + read.x.start, y + read.y.start])


def _map(scene, pixels):
    """Return origin, matrix and largest misfit of the map from scene to pixels.

    Fitted in V2, V3, where the distortion is undone.
    """
    aperture = imager_aperture()
    design = np.column_stack([np.ones(len(scene)), scene])
    directions = np.column_stack(aperture.pixel_to_v2v3(*pixels.T))
    solution, *_ = np.linalg.lstsq(design, directions, rcond=None)
    origin = np.ravel(aperture.v2v3_to_pixel(*solution[0]))
    matrix = np.linalg.solve(aperture.jacobian(*origin), solution[1:].T)
    fitted = np.column_stack(aperture.v2v3_to_pixel(*(design @ solution).T))
    return origin, matrix, float(np.max(np.linalg.norm(fitted - pixels, axis=1)))


def _dither_sign(shifts, log):
    """Return +1 if stars move with the dither position, -1 if against it."""
    dither = _OFFSETS[1] - _OFFSETS[0]
    sign = 1 if np.mean(shifts @ dither) > 0 else -1
    if np.any(np.linalg.norm(shifts - sign * dither, axis=1) > _SHIFT_TOLERANCE):
        x, y = np.median(shifts, axis=0)
        fault = (
            f"a shift by ({x:.1f}, {y:.1f}) pixels, neither with nor against the dither of "
            f"({dither[0]:.1f}, {dither[1]:.1f})"
        )
        raise _not_understood(fault, log)
    return sign


def _read_noise(ramp, observation):
    """Return the noise of one read, DN; not a number where photons explain all noise.

    From second differences, in which constant rates cancel, whatever they are: each has
    the noise of six reads (weights 1, -2, 1) and of the photons of two frames.
    """
    rows, columns = _window(observation.subarray)
    frames = ramp[:, rows, columns]
    # Clipped, not a median: the numbers are whole, and a median of whole numbers is too.
    differences = np.diff(frames, 2, axis=0)
    variance = np.mean([sigma_clipped_stats(each, sigma=_CLIP)[2] ** 2 for each in differences])
    photons = sigma_clipped_stats(np.diff(frames, axis=0), sigma=_CLIP)[0] / MIRISIM_GAIN
    with np.errstate(invalid="ignore"):
        return float(np.sqrt((variance - 2 * photons) / 6))
