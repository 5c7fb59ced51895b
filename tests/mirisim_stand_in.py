"""A program that behaves as MIRISim's command line does, for tests where MIRISim is not.

It is NOT MIRISim, and nothing here shows that MIRISim itself works with this suite: MIRISim
has not been run.  What it reads follows configuration files that users of MIRISim have published;
what it writes follows images of its detector simulator, SCASim of MiriTE 7.9, with the gain and
the reference pixels on and off.  Geometry, noise and throughput of the images are its own,
written without the embedded simulator.

It is stricter than MIRISim may be: a section, key, type or word that it does not know is an
error.  Environment variables decide what it pretends to be:

MIRISIM_STAND_IN_VERSION     version; below 2.3.0 stars move against the dither position
MIRISIM_STAND_IN_X_SIGN      +1 if the scene's x axis goes with V2, -1 if against it
MIRISIM_STAND_IN_DISTORTION  "siaf", or "none" for an affine field
MIRISIM_STAND_IN_FAILURE     what goes wrong; see FAILURES
"""

import os
import sys
import time
from pathlib import Path

VERSION = os.environ.get("MIRISIM_STAND_IN_VERSION", "2.4.1")
X_SIGN = int(os.environ.get("MIRISIM_STAND_IN_X_SIGN", "1"))
DISTORTION = os.environ.get("MIRISIM_STAND_IN_DISTORTION", "siaf")
FAILURE = os.environ.get("MIRISIM_STAND_IN_FAILURE", "")
FAILURES = (
    "",
    "exit",  # exit code 3
    "no output",  # ends well, writes nothing
    "hang",  # sleeps, as does a process that it started
    "image missing",  # one dither position less
    "filter",  # another filter in the header
    "gain off",  # whatever simulator.ini says
    "refpix off",  # whatever simulator.ini says
    "columns moved",  # by four, as without reference pixels, and nothing in the header says so
    "other gain",  # another calibration product
    "other noise",  # from the third image on, as if the calibration product had changed
    "stated noise",  # another in the header than in the image
    "drifts on",  # whatever simulator.ini says
    "flat on",  # whatever simulator.ini says
    "not a number",  # in one pixel
    "far dithers",  # twice as far as asked for
    "no stars",
)

SUBARRAYS = {  # first column and row from 1, columns, rows; reference pixel from 0; FAST frame, s
    "FULL": (1, 1, 1032, 1024, 692.5, 511.5, 2.77504),
    "BRIGHTSKY": (457, 51, 512, 512, 711.5, 305.5, 0.86528),
    "SUB256": (413, 51, 256, 256, 539.5, 177.5, 0.29952),
}
# First column and row from 1, columns, rows of what sees the sky: imager and coronagraphs.
FIELDS = (
    (360, 1, 668, 1024),
    (5, 19, 284, 224),
    (5, 245, 284, 224),
    (5, 467, 284, 224),
    (5, 717, 316, 304),
)
IMAGING = [f"F{name}W" for name in (560, 770, 1000, 1130, 1280, 1500, 1800, 2100, 2550)]
CORONAGRAPHY = ["F1065C", "F1140C", "F1550C", "F2300C"]
FILTERS = (*IMAGING, *CORONAGRAPHY, "P750L")

SLOW = 23.88992  # s, frame of the full array
FULL_WITHOUT_REFERENCE = 2.72384  # s, FAST frame of the full array without reference columns
REFERENCE_COLUMNS = 4  # on each side
SCALE = (0.1105, 0.1113)  # arcsec / pixel
ANGLE = 5.0152  # degrees, V3 to the Ideal y axis in CDP-7
# Sci2IdlX and Sci2IdlY of MIRIM_FULL (SIAF), arcsec: of order 1 to 4, by rising power of y.
SIAF = (
    (
        (0.1104966, -0.000307676),
        (7.646782e-08, -1.723185e-06, -1.245474e-07),
        (-2.717568e-10, 3.135248e-10, -9.961911e-10, 2.058496e-10),
        (-1.643181e-14, 1.289441e-12, 1.981437e-13, 1.460396e-12, -9.631013e-14),
    ),
    (
        (-0.000587156, 0.1113355),
        (-7.834603e-07, -3.615003e-07, -2.318897e-08),
        (1.4013e-10, -1.741449e-09, 6.611735e-10, -3.190003e-09),
        (3.793902e-13, -1.102981e-14, 1.851638e-12, -2.806854e-13, 1.875131e-12),
    ),
)
V2_REF, V3_REF = -453.5591, -373.8144
GAIN = 5.5  # electron / DN
READ_NOISE = 8.0  # DN
PEDESTAL = 10_000.0  # electron
WELL = 354_720.0  # electron
SKY = {"low": 60.0, "high": 180.0}  # electron / s
THROUGHPUT = 30.0  # electron / s for 1 uJy
WIDTH = 0.315  # FWHM in pixels for 1 micrometre of wavelength
LIGHT_OF_RAYS = 55.0  # hits / s on the full array


# ---------------------------------------------------------------- configuration


def number(kind=float, low=None):
    """Return a check for a number."""

    def check(text):
        value = kind(text)
        if low is not None and value < low:
            raise ValueError(f"VdtValueTooSmallError: {text}")
        return value

    return check


def word(*words):
    """Return a check for one of some words."""

    def check(text):
        if text not in words:
            raise ValueError(f'VdtValueError: the value "{text}" is unacceptable')
        return text

    return check


def pair(text):
    """Return two numbers that stand beside each other without a comma."""
    if not isinstance(text, str):
        raise TypeError(f"VdtTypeError: the value {text!r} is of the wrong type")
    first, second = text.split()
    return float(first), float(second)


def path(text):
    """Return a path, which may not have a space."""
    if " " in text:
        raise ValueError(f"ValueError in format 'g': {text}")
    return Path(text)


flag = word("T", "F")
mode = word("FAST", "SLOW")
count = number(int, 1)
TIMES = {"Exposures": count, "Integrations": count, "Frames": count}

EFFECTS = (
    *("refpix", "poisson", "readnoise", "badpix", "dark"),
    *("flat", "gain", "nonlinearity", "drifts", "latency"),
)

SIMULATION = {
    "name": str,
    "Scene": {"filename": path},
    "Observation": {"rel_obsdate": number()},
    "Pointing_and_Optical_Path": {
        "Primary_Optical_Path": {
            "POP": word("IMA", "MRS"),
            "ConfigPath": word(*(f"IMA_{name}" for name in SUBARRAYS)),
        },
    },
    "Integration_and_patterns": {
        "Dither_Patterns": {
            "Dither": word("True", "False"),
            "StartInd": count,
            "NDither": count,
            "DitherPat": path,
        },
        "IMA_configuration": {
            "filter": word(*FILTERS),
            "ReadDetect": word(*SUBARRAYS),
            "Mode": mode,
            **TIMES,
        },
    },
}
SIMULATOR = {
    "MiriSim": {
        "Dither": {
            "max_fsm": number(),
            "max_dither": number(),
            "mrs_ref_channel": count,
            "mrs_ref_band": word("SHORT", "MEDIUM", "LONG"),
        },
        "Efficiencies": {"tau_telescope": number(), "tau_eol": number(), "use_pce": flag},
        "Telescope": {"telescope_area": number(), "telescope_pupil_diam": number()},
    },
    "SkySim": {},
    "ImSim": {},
    "SpecSim": {"include_fringe": flag},
    "LRSSim": {"take_webbPsf": flag, "add_extended": flag},
    "SCASim": {
        **{f"include_{name}": flag for name in EFFECTS},
        "cosmic_ray_mode": word("NONE", "SOLAR_MIN", "SOLAR_MAX", "SOLAR_FLARE"),
    },
}
RELEASE = tuple(int(part) for part in VERSION.split(".")[:2])
if RELEASE >= (2, 2):
    SIMULATOR["CDP"] = {"ftp_path": str}
SED = {
    "Type": word("PL"),
    "alpha": number(),
    "wref": number(float, 4.0),
    "flux": number(float, 0.0),
}
SCENE = {
    "sky": {"name": str, "loglevel": number(int, 0)},
    "Background": {
        "gradient": number(),
        "pa": number(),
        "centreFOV": pair,
        "level": word("low", "high"),
        "fast": number(int, 0),
    },
}
if RELEASE < (2, 2):
    SCENE["Background"]["tconstant"] = number()
POINT = {"Type": word("Point"), "Cen": pair, "sed": SED}
GALAXY = {
    "Type": word("Galaxy"),
    "Cen": pair,
    "n": number(),
    "re": number(),
    "q": number(),
    "pa": number(),
    "sed": SED,
}


def checked(section, specification, where):
    """Return a section's values as the specification has them; all of them, and no others."""
    for name in section:
        if name not in specification:
            raise KeyError(f"{where}: unknown section or key {name!r}")
    values = {}
    for name, check in specification.items():
        if name not in section:
            raise KeyError(f"{where}: missing section or key {name!r}")
        place = f"{where}[{name}]"
        if isinstance(check, dict):
            values[name] = checked(section[name], check, place)
            continue
        try:
            values[name] = check(section[name])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{place}: {error}") from error
    return values


def read(name, specification):
    """Return the checked content of a configuration file."""
    from configobj import ConfigObj

    return checked(ConfigObj(str(name), file_error=True), specification, str(name))


def read_scene(name):
    """Return sky and sources of a scene."""
    from configobj import ConfigObj

    content = ConfigObj(str(name), file_error=True)
    kinds = {"point": POINT, "galaxy": GALAXY}
    specification = SCENE | {
        section: kinds[section.split("_")[0]]
        for section in content.sections
        if section.split("_")[0] in kinds
    }
    scene = checked(content, specification, str(name))
    return scene["Background"], [scene[section] for section in scene if section not in SCENE]


def read_dithers(pattern, largest):
    """Return the dither positions of this run, pixels."""
    offsets = []
    for line in pattern["DitherPat"].read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            dx, dy = line.split(",")
            offsets.append((float(dx), float(dy)))
            distance = ((offsets[-1][0] * SCALE[0]) ** 2 + (offsets[-1][1] * SCALE[1]) ** 2) ** 0.5
            if distance > largest:
                raise ValueError(f"dither of {distance:.1f} arcsec exceeds max_dither")
    return [
        offsets[(pattern["StartInd"] - 1 + index) % len(offsets)]
        for index in range(pattern["NDither"])
    ]


# ---------------------------------------------------------------- images


class Geometry:
    """From the scene, arcsec, to pixels of a subarray, for one dither position."""

    def __init__(self, subarray, dither, reference_columns=True):
        import numpy as np

        self.left, self.bottom, self.columns, self.rows, x, y, _ = SUBARRAYS[subarray]
        if not reference_columns:
            # The corner is counted in an array that has lost its first columns.
            self.left += REFERENCE_COLUMNS
            self.columns = min(self.columns, 1032 - 2 * REFERENCE_COLUMNS)
        self.reference = np.array([x, y])
        sign = 1 if RELEASE >= (2, 3) else -1
        if FAILURE == "far dithers":
            sign *= 2
        self.target = self.reference + sign * np.array(dither)
        angle = np.deg2rad(ANGLE)
        # V2 and V3 of the scene's axes, then Ideal coordinates with their reversed x axis.
        self.to_ideal = np.array(
            [[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        ) @ np.diag([X_SIGN, 1])

    def ideal(self, x, y):
        """Return Ideal coordinates, arcsec, of pixels of the full array from 0."""
        import numpy as np

        dx, dy = x - 692.5, y - 511.5
        if DISTORTION == "none":
            return np.array([dx * SCALE[0], dy * SCALE[1]])
        return np.array(
            [
                sum(
                    value * dx ** (order - index) * dy**index
                    for order, row in enumerate(axis, start=1)
                    for index, value in enumerate(row)
                )
                for axis in SIAF
            ]
        )

    def pixel(self, x, y):
        """Return the pixel of the subarray where a position of the scene appears."""
        import numpy as np

        wanted = self.ideal(*self.target) + self.to_ideal @ (x, y)
        place = np.array([692.5, 511.5]) + wanted / SCALE
        for _ in range(6):
            place += (wanted - self.ideal(*place)) / SCALE
        return place - (self.left - 1, self.bottom - 1)


def lit(geometry):
    """Return where a subarray sees the sky."""
    import numpy as np

    rows, columns = np.indices((geometry.rows, geometry.columns))
    rows, columns = rows + geometry.bottom, columns + geometry.left
    return np.any(
        [
            (columns >= left)
            & (columns < left + width)
            & (rows >= bottom)
            & (rows < bottom + height)
            for left, bottom, width, height in FIELDS
        ],
        axis=0,
    )


def illumination(background, sources, geometry):
    """Return the electrons per second in each pixel."""
    import numpy as np
    from scipy.special import erf

    rows, columns = np.indices((geometry.rows, geometry.columns))

    def in_scene(dx, dy):
        """Return offsets in the scene of offsets in pixels; without distortion."""
        ideal = np.array([dx * SCALE[0], dy * SCALE[1]])
        return np.tensordot(np.linalg.inv(geometry.to_ideal), ideal, 1)

    centre = in_scene(
        columns + geometry.left - 1 - geometry.target[0],
        rows + geometry.bottom - 1 - geometry.target[1],
    )
    angle = np.deg2rad(background["pa"])
    along = (centre[0] * np.sin(angle) + centre[1] * np.cos(angle)) / 60
    image = SKY[background["level"]] * (1 + background["gradient"] / 100 * along)
    for source in [] if FAILURE == "no stars" else sources:
        total = THROUGHPUT * source["sed"]["flux"]
        if source["Type"] == "Galaxy":
            place = geometry.pixel(*source["Cen"])
            dx, dy = in_scene(columns - place[0], rows - place[1])
            turn = np.deg2rad(source["pa"])
            major = dx * np.sin(turn) + dy * np.cos(turn)
            minor = (dx * np.cos(turn) - dy * np.sin(turn)) / source["q"]
            radius = np.hypot(major, minor) / source["re"]
            profile = np.exp(-(2 * source["n"] - 0.33) * (radius ** (1 / source["n"]) - 1))
            image += total * profile / profile.sum()
            continue
        x, y = geometry.pixel(*source["Cen"])
        width = WIDTH * source["sed"]["wref"] / 2.3548 * np.sqrt(2)
        part = [
            (erf((at + 0.5 - place) / width) - erf((at - 0.5 - place) / width)) / 2
            for at, place in ((np.arange(geometry.rows), y), (np.arange(geometry.columns), x))
        ]
        box = tuple(np.flatnonzero(one > 1e-9) for one in part)
        image[np.ix_(*box)] += total * np.outer(part[0][box[0]], part[1][box[1]])
    return image * lit(geometry)


def exposure(image, camera, detector, frame_time, generator):
    """Return ramps and reference output, whole numbers: DN, or electrons without the gain."""
    import numpy as np

    shape = (camera["Integrations"], camera["Frames"], *image.shape)
    gain = detector["gain"]
    ramps = np.empty(shape, np.float32)
    expected = image * frame_time
    for integration in range(shape[0]):
        charge = np.full(image.shape, PEDESTAL)
        for frame in range(shape[1]):
            charge += generator.poisson(expected) if detector["poisson"] else expected
            if detector["rays"] != "NONE":
                hits = generator.poisson(LIGHT_OF_RAYS * frame_time * image.size / 1024**2)
                where = tuple(generator.integers(side, size=hits) for side in image.shape)
                np.add.at(charge, where, generator.uniform(2000, 20_000, hits))
            np.minimum(charge, WELL, out=charge)
            noise = gain * detector["noise"] * generator.standard_normal(image.shape, np.float32)
            ramps[integration, frame] = np.maximum((charge + noise) // gain, 0)
    if not detector["refpix"]:
        return ramps, np.zeros((1, 1, 1, 1), np.float32)
    # No noise, no light.
    return ramps, np.full((*shape[:3], shape[3] // 4), PEDESTAL // gain, np.float32)


def write_image(place, ramps, blind, camera, detector, frame_time):
    """Write a det_image as SCASim does, with the keywords that it has and the gaps too."""
    import numpy as np
    from astropy.io import fits

    left, bottom, *_ = SUBARRAYS[camera["ReadDetect"]]
    rows, columns = ramps.shape[2:]
    integration = frame_time * camera["Frames"]
    duration = integration * camera["Integrations"]
    slow = camera["Mode"] == "SLOW"
    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            "DATE": "2021-01-01T00:00:00.000",
            "ORIGIN": "a stand-in for MIRISim",
            "FILETYPE": "Ramp (level 1b)",
            "DATAMODL": "RampModel",
            "CREATOR": "a stand-in for MIRISim",
            "TELESCOP": "JWST",
            "INSTRUME": "MIRI",
            "MODELNAM": "FM",
            "FILTER": "F1000W" if FAILURE == "filter" else camera["filter"],
            "DETTEMP": 6.7,
            "DETSETNG": "N/A",
            "DETECTOR": "MIRIMAGE",
            "SCA_ID": "493",
            "CCCSTATE": "OPEN",
            "OPMODE": "NONE",
            "SUBARRAY": camera["ReadDetect"],
            "FASTAXIS": 1,
            "SLOWAXIS": 2,
            "SUBSTRT1": left,
            "SUBSTRT2": bottom,
            "SUBSIZE1": columns,
            "SUBSIZE2": rows,
            "EXP_TYPE": "MIR_IMAGE",
            "READPATT": camera["Mode"],
            "NFRAMES": 1,
            "ROWRSETS": 3,
            "FRMRSETS": 0,
            "GRPAVG": 1,
            "INTAVG": 1,
            "EXPSTART": 59215.0,
            "EXPEND": 59215.0 + duration / 86400,
            "NINTS": camera["Integrations"],
            "NGROUPS": camera["Frames"],
            "GROUPGAP": 0,
            "NSAMPLES": 8 if slow else 1,
            "TSAMPLE": 10.0,
            "TFRAME": frame_time,
            "TGROUP": frame_time,
            "EFFINTTM": integration,
            "EFFEXPTM": duration,
            "DURATION": duration,
            "NRESETS": 0,
            "ZEROFRAM": False,
            "TIMEUNIT": "s",
            "FILENAME": place.name,
            "DATE-OBS": "2021-01-01",
            "TIME-OBS": "00:00:00",
            "OBS_ID": "V12345001001P0000000001101",
            "VISIT_ID": "12345001001",
            "PROGRAM": "12345",
            "OBSERVTN": "1",
            "VISIT": "001",
            "VISITGRP": "01",
            "SEQ_ID": "1",
            "ACT_ID": "01",
            "EXPOSURE": "00001",
            "TARG_RA": 0.0,
            "TARG_DEC": 0.0,
            "CRMODE": detector["rays"],
            "CRNUM": 0,
            "CRNUMPIX": 0,
            "SUBBURST": True,
            "DETROWS": 1024,
            "DETCOLS": 1024,
            "SMPSKIP": 1 if slow else 0,
            "WELL": int(WELL),
            "REQTIME": integration,
            "EXPTIME": integration,
        }
    )
    if detector["noise"] > 0:
        stated = detector["noise"] / (2 if FAILURE == "stated noise" else 1)
        primary.header["RDNOISE"] = stated
    gain = detector["gain"]
    if detector["rays"] != "NONE":
        primary.header.update({"CRMETHOD": "LIBRARY", "GCR_FLUX": 8.32711e-08})
    if gain != 1:
        primary.header.update({"GAINCF": gain, "MAXDN": int(WELL / gain)})
    for line in history(detector):
        primary.header["HISTORY"] = line
    if FAILURE == "not a number":
        ramps[0, 0, 0, 0] = np.nan
    science = fits.ImageHDU(ramps, name="SCI")
    science.header.update(
        {
            "RADESYS": "ICRS",
            "BUNIT": "electrons" if gain == 1 else "DN",
            "RA_V1": 0.1263481795,
            "DEC_V1": 0.1027119697,
            "PA_V3": 0.0,
            "WCSAXES": 2,
            "CRPIX1": 1 - left,
            "CRPIX2": 1 - bottom,
            "CRVAL1": 0.0,
            "CRVAL2": 0.0,
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CDELT1": 3.06830555555555e-05,
            "CDELT2": 3.09669444444444e-05,
            "PC1_1": -1.0,
            "PC1_2": 0.0,
            "PC2_1": 0.0,
            "PC2_2": 1.0,
            "V2_REF": V2_REF,
            "V3_REF": V3_REF,
            "VPARITY": -1,
            "V3I_YANG": ANGLE,
            "RA_REF": 0.0,
            "DEC_REF": 0.0,
            "ROLL_REF": 0.0,
            "EXTVER": 1,
        }
    )
    quality = fits.ImageHDU(np.zeros((rows, columns), np.uint32), name="PIXELDQ")
    output = fits.ImageHDU(blind, name="REFOUT")
    tree = np.frombuffer(b"#ASDF 1.0.0\n", np.uint8)
    metadata = fits.BinTableHDU.from_columns(
        [fits.Column("ASDF_METADATA", f"{len(tree)}B", array=tree[np.newaxis])], name="ASDF"
    )
    fits.HDUList([primary, science, quality, output, metadata]).writeto(place)


def history(detector):
    """Return the lines that say what was simulated."""
    gain = detector["gain"]
    return [
        "Simulated dark current disabled.",
        *(["Simulated gain disabled."] if gain == 1 else []),
        "Simulated non-linearity effects disabled.",
        *([] if FAILURE == "drifts on" else ["Simulated detector drift effects disabled."]),
        "Simulated detector latency effects disabled.",
        *([] if detector["noise"] else ["Simulated read noise disabled."]),
        *([] if detector["poisson"] else ["Simulated Poisson noise is disabled."]),
        "Bad pixel mask: None applied.",
        "Dark map: None. All pixels have equal dark current.",
        "Pixel flat-field: flat.fits"
        if FAILURE == "flat on"
        else "Pixel flat-field: None. All pixels have equal weight.",
        "Gain map: None. 1.0 is assumed." if gain == 1 else "Gain map: gain.fits",
        "QE: No QE simulation.",
    ]


def read_detector(flags, sequence):
    """Return what SCASim makes of its section, and of its calibration products."""
    refused = [
        name
        for name in ("badpix", "dark", "flat", "nonlinearity", "drifts", "latency")
        if flags[f"include_{name}"] == "T"
    ]
    if refused:
        raise NotImplementedError(f"no {', '.join(refused)} in this stand-in")
    on = {name.removeprefix("include_"): flag == "T" for name, flag in flags.items()}
    gain = 4.0 if FAILURE == "other gain" else GAIN
    noise = READ_NOISE + (2.0 if FAILURE == "other noise" and sequence > 2 else 0.0)
    return {
        # Without the gain one electron is one unit, of the read noise as well.
        "gain": gain if on["gain"] and FAILURE != "gain off" else 1.0,
        "refpix": on["refpix"] and FAILURE != "refpix off",
        "poisson": on["poisson"],
        "noise": noise if on["readnoise"] else 0.0,
        "rays": flags["cosmic_ray_mode"],
    }


def write_illumination(place, image):
    """Write an illum_model."""
    import numpy as np
    from astropy.io import fits

    intensity = fits.ImageHDU(image[np.newaxis].astype(np.float32), name="INTENSITY")
    wavelength = fits.ImageHDU(np.zeros((1, 1, 1), np.float32), name="WAVELENGTH")
    fits.HDUList([fits.PrimaryHDU(), intensity, wavelength]).writeto(place)


# ---------------------------------------------------------------- the program


def main(arguments):
    """Simulate what a simulation.ini of the current directory describes."""
    if FAILURE not in FAILURES:
        raise ValueError(f"MIRISIM_STAND_IN_FAILURE = {FAILURE!r} is not one of {FAILURES}")
    if FAILURE == "exit":
        print("RuntimeError: no calibration products")  # noqa: T201
        return 3
    if FAILURE == "no output":
        return 0
    if FAILURE == "hang":
        import subprocess

        # A second process, which has to end as well.
        child = subprocess.Popen(["sleep", "600"])
        Path("child.pid").write_text(str(child.pid))
        print(f"child {child.pid}", flush=True)  # noqa: T201
        child.wait()
    path(str(Path.cwd()))
    (name,) = arguments
    simulation = read(name, SIMULATION)
    simulator = read("simulator.ini", SIMULATOR)
    background, sources = read_scene(simulation["Scene"]["filename"])
    patterns = simulation["Integration_and_patterns"]
    largest = simulator["MiriSim"]["Dither"]["max_dither"]
    dithers = read_dithers(patterns["Dither_Patterns"], largest)
    camera = patterns["IMA_configuration"]
    subarray = camera["ReadDetect"]
    frame_time = SLOW if camera["Mode"] == "SLOW" else SUBARRAYS[subarray][-1]

    import numpy as np

    output = Path(time.strftime("%Y%m%d_%H%M%S_mirisim"))
    for folder in ("det_images", "illum_models"):
        (output / folder).mkdir(parents=True)
    for file in (name, "scene.ini", "simulator.ini"):
        (output / Path(file).name).write_text(Path(file).read_text())
    (output / "mirisim.log").write_text(f"mirisim stand-in {VERSION}\n")
    if FAILURE == "image missing":
        dithers.pop()
    generator = np.random.default_rng(1)
    for sequence, dither in enumerate(dithers, start=1):
        detector = read_detector(simulator["SCASim"], sequence)
        geometry = Geometry(subarray, dither, detector["refpix"] and FAILURE != "columns moved")
        image = illumination(background, sources, geometry)
        if subarray == "FULL" and camera["Mode"] == "FAST" and not detector["refpix"]:
            frame_time = FULL_WITHOUT_REFERENCE
        label = f"{sequence}_MIRIMAGE_{camera['filter']}"
        write_illumination(output / "illum_models" / f"illum_model_{label}.fits", image)
        for repeat in range(1, camera["Exposures"] + 1):
            ramps, blind = exposure(image, camera, detector, frame_time, generator)
            place = output / "det_images" / f"det_image_seq{label}exp{repeat}.fits"
            write_image(place, ramps, blind, camera, detector, frame_time)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
