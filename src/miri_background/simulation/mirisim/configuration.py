"""What MIRISim reads: simulation.ini, scene.ini, simulator.ini and the dither positions.

Sections and keys are those of configuration files for the imager that users of MIRISim have
published (STScI-TSO, mirisim_tso, mirisim-coronagraphy), as its versions have them.  None of
them has a galaxy, and none a spectrum that is a power law.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from configobj import ConfigObj

from miri_background.instrument.throughput import SKY_LEVELS, pivot_wavelength
from miri_background.places import writable
from miri_background.simulation.mirisim.constants import (
    MIRISIM_MODES,
    MIRISIM_PIXEL_SCALE,
    MIRISIM_TELESCOPE_AREA,
    MIRISIM_TELESCOPE_TRANSMISSION,
)

__all__ = ["SceneSource", "SkyBackground", "write_configuration"]

_DITHERS = "dither.dat"
_MAX_DITHER = 20  # arcsec, MIRISim's default
_PUPIL_DIAMETER = 6.6052  # m, MIRISim's default

# The calibration products of most effects cannot be removed by any reference file that is
# there, nor by one that could be made from constants: off.  Without include_gain SCASim writes
# electrons; without include_refpix it leaves out the reference columns, which moves the columns
# of subarrays by four, and the reference output.
_DETECTOR_EFFECTS = {
    "include_refpix": "T",
    "include_poisson": "T",
    "include_readnoise": "T",
    "include_badpix": "F",
    "include_dark": "F",
    "include_flat": "F",
    "include_gain": "T",
    "include_nonlinearity": "F",
    "include_drifts": "F",
    "include_latency": "F",
}
# MIRISim reads its calibration products from a place that is named for the version; published
# files of this version and later ones have a key for it, ...
_FIRST_WITH_CDP_PATH = (2, 2)
# ... and older ones a time constant of the sky.
_FIRST_WITHOUT_TIME_CONSTANT = (2, 2)

# The level "high" is a sky much brighter than at most pointings: by this over the filter's own.
_BRIGHT_SKY = 1.8


@dataclass(frozen=True)
class SceneSource:
    """A star or a galaxy of MIRISim's scene.

    Parameters
    ----------
    x, y : float
        ``Cen``: offset from the centre of the scene, arcsec.
    flux : float
        Total flux, uJy.
    galaxy : dict, optional
        ``n``, ``re`` (arcsec), ``q`` and ``pa`` (degrees) of a Sersic profile; none for a star.
    """

    x: float
    y: float
    flux: float
    galaxy: dict | None = None


@dataclass(frozen=True)
class SkyBackground:
    """The sky of MIRISim's scene.

    Parameters
    ----------
    level : str
        "low" or "high".
    gradient : float
        Percent per arcmin.
    angle : float
        Direction of the brighter sky, degrees from the scene's y axis towards its x axis.
        MIRISim's documents do not say from where it counts ``pa``; this is how position
        angles are counted if x goes with right ascension.
    """

    level: str = "low"
    gradient: float = 0.0
    angle: float = 0.0

    @classmethod
    def of(cls, observation, angle):
        """Return the sky of an observation; MIRISim has two levels, and a gradient."""
        bright = _BRIGHT_SKY * SKY_LEVELS[observation.filter]
        level = "high" if observation.sky_level > bright else "low"
        return cls(level, observation.sky_gradient, angle)


def _release(version):
    """Return the first two numbers of a version."""
    return tuple(int(part) for part in re.match(r"(\d+)\.(\d+)", version).groups())


def _simulation(observation, offsets, directory):
    """Return the content of simulation.ini."""
    return {
        "name": "ima_simulation",
        "Scene": {"filename": "scene.ini"},
        "Observation": {"rel_obsdate": 0.0},
        "Pointing_and_Optical_Path": {
            "Primary_Optical_Path": {"POP": "IMA", "ConfigPath": f"IMA_{observation.subarray}"}
        },
        "Integration_and_patterns": {
            "Dither_Patterns": {
                "Dither": True,
                "StartInd": 1,
                "NDither": len(offsets),
                # A bare name may be taken for one of the patterns that come with MIRISim.
                "DitherPat": str(directory / _DITHERS),
            },
            "IMA_configuration": {
                "filter": observation.filter,
                "ReadDetect": observation.subarray,
                "Mode": MIRISIM_MODES[observation.readout_pattern],
                "Exposures": 1,
                "Integrations": observation.integrations,
                "Frames": observation.groups,
            },
        },
    }


def _scene(version, observation, background, sources):
    """Return the content of scene.ini."""
    wavelength = pivot_wavelength(observation.filter)
    older = _release(version) < _FIRST_WITHOUT_TIME_CONSTANT
    scene = {
        "sky": {"name": "sky0", "loglevel": 0},
        "Background": {
            "gradient": f"{background.gradient:.6g}",
            "pa": f"{background.angle:.4f}",
            "centreFOV": "0. 0.",
            "level": background.level,
            **({"tconstant": 0} if older else {}),
            "fast": 0,
        },
    }
    for number, source in enumerate(sources, start=1):
        # As strings: configobj would write a list with a comma, MIRISim's files have none.
        section = {"Cen": f"{source.x:.6f} {source.y:.6f}"}
        if source.galaxy is None:
            name, section = f"point_{number}", {"Type": "Point", **section}
        else:
            # Published scenes have no galaxy in a file: these are the keywords of the
            # Python class `mirisim.skysim.Galaxy`.
            name = f"galaxy_{number}"
            section = {"Type": "Galaxy", **section, **source.galaxy}
        # Flat: the sign of alpha, and whether it belongs to frequency or wavelength, is
        # then of no consequence.
        section["sed"] = {
            "Type": "PL",
            "alpha": 0.0,
            "wref": f"{wavelength:.4f}",
            "flux": f"{source.flux:.6g}",
        }
        scene[name] = section
    return scene


def _simulator(version, observation, offsets):
    """Return the content of simulator.ini."""
    # The larger scale along both axes, and room for rounding.
    furthest = np.max(np.hypot(*np.transpose(offsets))) * max(MIRISIM_PIXEL_SCALE) + 1.0
    rays = "NONE" if observation.cosmic_ray_rate == 0 else "SOLAR_MIN"
    content = {
        "MiriSim": {
            "Dither": {
                "max_fsm": 0.05,
                "max_dither": max(_MAX_DITHER, int(np.ceil(furthest))),
                "mrs_ref_channel": 1,
                "mrs_ref_band": "SHORT",
            },
            "Efficiencies": {
                "tau_telescope": MIRISIM_TELESCOPE_TRANSMISSION,
                "tau_eol": 0.8,
                "use_pce": "F",  # of the spectrometer; the imager always uses its efficiency
            },
            "Telescope": {
                "telescope_area": MIRISIM_TELESCOPE_AREA,
                "telescope_pupil_diam": _PUPIL_DIAMETER,
            },
        },
        "SkySim": {},
        "SpecSim": {"include_fringe": "T"},
        "ImSim": {},
        "LRSSim": {"take_webbPsf": "F", "add_extended": "F"},
        "SCASim": {**_DETECTOR_EFFECTS, "cosmic_ray_mode": rays},
    }
    release = _release(version)
    if release >= _FIRST_WITH_CDP_PATH:
        content["CDP"] = {"ftp_path": "/CDPSIM/{}.{}/:/CDPSIM/".format(*release)}
    return content


def write_configuration(directory, version, observation, background, sources, offsets):
    """Write all files that MIRISim reads for exposures of one field.

    Parameters
    ----------
    directory : path-like
        Where to write; MIRISim is run there.
    version : str
        Version of MIRISim.
    observation : Observation
        Its instrument, readout and cosmic rays are configured.
    background : SkyBackground
        The sky.
    sources : list of SceneSource
        Stars and galaxies.
    offsets : ndarray
        Dither positions (exposures, 2), pixels, in MIRISim's sense.

    Raises
    ------
    CannotJudge
        If the directory cannot be written.
    """
    directory = Path(directory)
    contents = {
        "simulation.ini": _simulation(observation, offsets, directory),
        "scene.ini": _scene(version, observation, background, sources),
        "simulator.ini": _simulator(version, observation, offsets),
    }
    lines = ["# dx, dy in pixels of the detector", *(f"{dx:+.4f}, {dy:+.4f}" for dx, dy in offsets)]
    with writable(directory):
        for name, content in contents.items():
            configuration = ConfigObj(content, interpolation=False, encoding="utf-8")
            configuration.filename = str(directory / name)
            configuration.write()
        (directory / _DITHERS).write_text("\n".join(lines) + "\n", encoding="utf-8")
