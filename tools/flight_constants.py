"""Write ours beside flight's constants into a page: flight_constants.py docs/flight_constants.md.

What is ours comes from the code; what is flight's is typed here, with its source.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miri_background.instrument import detector
from miri_background.instrument.aperture import ARCSEC_TO_RAD, imager_aperture
from miri_background.instrument.flight_calibration import flight_photmjsr
from miri_background.instrument.readout import frame_time
from miri_background.instrument.throughput import (
    BORESIGHT_OFFSETS,
    FILTERS,
    PIXEL_SOLID_ANGLE,
    SKY_LEVELS,
    photmjsr,
)
from miri_background.observation import Observation
from miri_background.simulation.sky_level import sky_brightness

HEADING = "Ours and flight"
ALLOWED = 10.0  # %, above which a difference needs a reason

JDOX = "JWST user documentation, MIRI Detector Performance"
DELIVERY = "distortion delivery SS.09.00, PEDIGREE FLIGHT"
PHOTOM = "jwst_miri_photom_0230 with its loss"
LMC = "20 to 25 exposures, PID 1040"
SMACS = "9 exposures, PID 2736"
NOT_FOUND = "no public number found"
MODEL = "no public exposure of an empty field found"

# MJy/sr per DN/s of the full array: table and loss of jwst_miri_photom_0230 on 2026-01-01.
FLIGHT_2026 = {
    "F560W": 0.4467,
    "F770W": 0.2563,
    "F1000W": 0.3501,
    "F1130W": 1.0898,
    "F1280W": 0.4237,
    "F1500W": 0.3705,
    "F1800W": 0.5096,
    "F2100W": 0.4549,
    "F2550W": 0.9501,
}
# Filter, MJD of the middle, PHOTMJSR, photom reference: headers of flight exposures.
HEADERS = (
    ("F770W", 59840.80656561018, 0.3044276833534241, "0074"),
    ("F1130W", 59840.70181904769, 1.188431859016418, "0074"),
    ("F1500W", 59833.51096992, 0.3664825558662415, "0074"),
    ("F1130W", 59999.05192189815, 1.0822470154038262, "0230"),
)
# Median sky in DN/s, June 2022: medians in MJy/sr of STScI's imaging example notebooks over the
# PHOTMJSR that their logs have.
FLIGHT_SKY = {
    "F560W": (2.750, LMC),
    "F770W": (16.57, LMC),
    "F1000W": (33.79, SMACS),
    "F1500W": (108.1, SMACS),
    "F1800W": (180.5, SMACS),
    "F2100W": (578.0, "8 exposures, PID 2107"),
}
JUNE_2022 = 59745.0  # MJD
DETECTOR_AREA = (1024 * 25e-4) ** 2  # cm^2


@dataclass(frozen=True)
class Row:
    """One constant.

    Parameters
    ----------
    name : str
        What, with its unit.
    ours : float
        From the code.
    flight : float or None
        Of flight, None where nothing is public.
    source : str
        Of the value of flight.
    reason : str, optional
        Why ours is another, if it is.
    """

    name: str
    ours: float
    flight: float | None
    source: str
    reason: str = ""

    @property
    def difference(self):
        """Return ours over flight minus 1, %, None where nothing is public."""
        return None if self.flight is None else 100 * (self.ours - self.flight) / abs(self.flight)

    @property
    def explained(self):
        """Whether the difference is small, or has a reason."""
        small = self.difference is not None and abs(self.difference) <= ALLOWED
        return small or bool(self.reason)

    def line(self):
        """Return the row of the Markdown table."""
        # Adding 0 makes -0.0 a zero without a sign.
        difference = "" if self.difference is None else f"{round(self.difference, 1) + 0.0:+.1f} %"
        flight = "-" if self.flight is None else f"{self.flight:.6g}"
        about = f"{self.source}: {self.reason}" if self.reason else self.source
        return f"| {self.name} | {self.ours:.6g} | {flight} | {difference} | {about} |"


def rows():
    """Return all constants, a list of `Row`."""
    return [*_calibration(), *_skies(), *_detector(), *_geometry()]


def _calibration():
    """Yield the photometric calibration."""
    for name in FILTERS:
        what = f"PHOTMJSR {name} 2026-01-01, MJy/sr per DN/s"
        yield Row(what, photmjsr(name), FLIGHT_2026[name], PHOTOM)
    for name, day, factor, reference in HEADERS:
        old = "the photom reference of 2022, replaced since" if reference == "0074" else ""
        what = f"PHOTMJSR {name} MJD {day:.0f}, MJy/sr per DN/s"
        source = f"flight header, jwst_miri_photom_{reference}"
        yield Row(what, flight_photmjsr(name, day), factor, source, old)
    yield Row("PIXAR_SR, 1e-13 sr", PIXEL_SOLID_ANGLE * 1e13, 2.8606325654, "photom reference")
    for subarray, ratio in (("BRIGHTSKY", 0.253942 / 0.255212), ("SUB256", 0.260420 / 0.255212)):
        what = f"PHOTMJSR {subarray} over FULL"
        yield Row(what, 1.0, ratio, "jwst_miri_photom_0230", "ours is one factor for all subarrays")


def _skies():
    """Yield the sky."""
    for name in FILTERS:
        ours = sky_brightness(Observation(filter=name))
        if name not in FLIGHT_SKY:
            yield Row(f"sky {name}, MJy/sr", ours, None, MODEL, "ours is a model, see below")
            continue
        rate, source = FLIGHT_SKY[name]
        galaxy = "on a galaxy, at low ecliptic latitude" if name == "F2100W" else ""
        flight = rate * flight_photmjsr(name, JUNE_2022)
        yield Row(f"sky {name}, MJy/sr", ours, flight, source, galaxy)
        late = "the loss of sensitivity from 2022 to 2026" if SKY_LEVELS[name] > 50 else ""
        rate_now = ours / photmjsr(name)
        yield Row(f"sky {name}, DN/s", rate_now, rate, source, galaxy or late)


def _detector():
    """Yield what the detector is."""
    lit = ~detector.reference_pixels()

    def usual(values):
        return float(np.median(values[lit]))

    kinds = detector.bad_pixels()[lit]
    dead, hot = (np.mean(kinds == detector.BAD_PIXEL_KINDS.index(kind)) for kind in ("dead", "hot"))
    at_50000 = usual(detector.linear_signal(np.full(detector.SHAPE, 50_000.0)))
    yield Row("gain, electron/DN", usual(detector.gain()), 4.0, JDOX)
    yield Row("read noise of one FASTR1 read, DN", usual(detector.read_noise()), 6.0, JDOX)
    glow = "the glow of the corner is added to the flight value"
    yield Row("dark current, electron/s", usual(detector.dark_current()), 0.2, JDOX, glow)
    yield Row("full well, electron", usual(detector.full_well()), 210_000.0, JDOX)
    made_up = "of the size that is described"
    yield Row("non-linearity at 50 000 DN, %", (at_50000 / 5e4 - 1) * 100, None, NOT_FOUND, made_up)
    yield Row("dead pixels, %", dead * 100, None, NOT_FOUND, made_up)
    yield Row("hot pixels, %", hot * 100, None, NOT_FOUND, made_up)
    yield Row(
        "cosmic rays on the array, hits/s",
        Observation().cosmic_ray_rate,
        4.3 * DETECTOR_AREA,
        "NIRSpec's 4.3 ions/cm²/s in the first year, Rauscher & Fixsen 2025, PASP 137, 095003",
        "2.3 at solar maximum, 4.3 again from 2027",
    )
    yield Row("frame time FULL FASTR1, s", frame_time("FASTR1", "FULL"), 2.77504, "flight header")


def _geometry():
    """Yield where pixels look."""
    aperture = imager_aperture()
    here = (aperture.x_ref, aperture.y_ref)
    v2, v3 = aperture.pixel_to_v2v3(*here)
    flt9 = "distortion flt9"
    yield Row("V2 of the reference pixel, arcsec", float(v2), -453.3482901, flt9)
    yield Row("V3 of the reference pixel, arcsec", float(v3), -373.6679493, flt9)
    yield Row("V3IdlYAngle, degrees", aperture.v3_ideal_y_angle, 4.83544897, "SIAF PRDOPSSOC-075")
    scale = np.hypot(*aperture.jacobian(*here))
    for axis, found, flight in zip("xy", scale, (0.11050, 0.11134), strict=True):
        yield Row(f"pixel scale in {axis}, arcsec", float(found), flight, flt9)
    area = float(aperture.pixel_area(*here) * ARCSEC_TO_RAD**2) * 1e13
    yield Row("pixel area there, 1e-13 sr", area, 2.8910, "PIXAR_SR of a flight mosaic, PID 1714")
    flight = {
        "F560W": (0.08, 0.06),
        "F1000W": (0.14, 0.62),
        "F1130W": (-0.15, 0.59),
        "F1280W": (0.08, 0.70),
        "F1500W": (0.36, 0.74),
        "F1800W": (-0.39, 0.73),
        "F2100W": (0.02, 0.27),
        "F2550W": (0.15, 0.55),
    }
    for name, offset in flight.items():
        ours = np.hypot(*BORESIGHT_OFFSETS[name])
        yield Row(f"offset of {name}, pixel", float(ours), float(np.hypot(*offset)), DELIVERY)


def table():
    """Return the Markdown table."""
    head = [
        "| constant | ours | flight | difference | source, and reason |",
        "|---|--:|--:|--:|---|",
    ]
    return "\n".join([*head, *(row.line() for row in rows())])


def with_table(text):
    """Return a document with the table below its heading.

    Parameters
    ----------
    text : str
        Markdown.

    Returns
    -------
    str
        The document.
    """
    pattern = rf"(?<=^## {HEADING}\n\n)(?:\|[^\n]*\n)*"
    return re.sub(pattern, lambda _: f"{table()}\n", text, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(with_table(document.read_text(encoding="utf-8")), encoding="utf-8")
