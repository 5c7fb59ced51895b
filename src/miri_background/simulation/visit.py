"""Metadata of a visit: when the telescope goes to a field, its target, and what it guides on."""

from astropy.time import Time, TimeDelta

from miri_background.observation import exposures
from miri_background.simulation.sky import field_attitude

__all__ = ["visit_metadata"]

# A visit begins with the slew; of the size of flight visits, before its first exposure.
_VISIT_BEGINS = TimeDelta(2400.0, format="sec")
_GUIDING_BEGINS = TimeDelta(1000.0, format="sec")
_GUIDING_LASTS = TimeDelta(245.0, format="sec")
_GUIDER = (207.19, -697.50)  # arcsec, V2 and V3 of the centre of FGS1 (JWST user documentation)
_GUIDE_STAR = {  # of the brightness and with the errors of a usual one
    "gs_order": 1,
    "gs_id": "SIMULATED1",
    "gs_ura": 1e-4,
    "gs_udec": 1e-4,
    "gs_mag": 14.0,
    "gs_umag": 0.02,
}
_PROPOSED = Time("2025-01-01T00:00:00", scale="utc")  # epoch of a target that rests: any


def visit_metadata(observation, exposure, first, end):
    """Return metadata of an exposure's visit, target and guide star.

    Parameters
    ----------
    observation : Observation
        The observation.
    exposure : Exposure
        Which of its exposures; all exposures of a field are one visit.
    first, end : astropy.time.Time
        When the first exposure of the visit begins and the last one ends.

    Returns
    -------
    dict
        Groups below ``meta`` of a level-1b model.
    """
    return (
        _of_visit(observation, exposure, first)
        | _of_target(observation, exposure)
        | _of_guide_star(observation, exposure, first, end)
    )


def _spelled(time):
    """Return a time as the headers of the archive spell those of a visit."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}{time.isot[-4:]}0000"


def _of_visit(observation, exposure, first):
    """Return metadata of the visit, which is that of a field."""
    return {
        "visit": {
            "type": "PRIME_TARGETED_FIXED",
            "status": "SUCCESSFUL",
            "start_time": _spelled(first - _VISIT_BEGINS),
            "engineering_quality": "OK",
            "engdb_pointing_quality": "PLANNED",
            "total_exposures": len(exposures(observation, exposure.field)),
            "internal_target": False,
            "too_visit": False,
            "tsovisit": False,
            "exp_only": False,
            "crowded_field": False,
        },
    }


def _of_target(observation, exposure):
    """Return metadata of the target, which rests at the centre of its field."""
    ra, dec = (getattr(observation, f"{exposure.field}_{axis}") for axis in ("ra", "dec"))
    return {
        "target": {
            "catalog_name": f"{exposure.field.upper()} FIELD",
            "proposer_name": f"{exposure.field.upper()}-FIELD",
            "type": "FIXED",
            "category": "Calibration",
            "description": "Background" if exposure.field == "background" else "Photometric",
            "ra": ra,
            "dec": dec,
            "ra_uncertainty": 0.1,
            "dec_uncertainty": 0.1,
            "proper_motion_ra": 0.0,
            "proper_motion_dec": 0.0,
            "proper_motion_epoch": _spelled(_PROPOSED),
            "proposer_ra": ra,
            "proposer_dec": dec,
        },
    }


def _of_guide_star(observation, exposure, first, end):
    """Return metadata of the guide star, which lies at the centre of a guider."""
    guiding = first - _GUIDING_BEGINS
    attitude = field_attitude(observation, exposure.field)
    ra, dec = (float(angle) for angle in attitude.sky(*_GUIDER))
    return {
        "guidestar": _GUIDE_STAR
        | {
            "gs_ra": ra,
            "gs_dec": dec,
            "gs_v3_pa_science": float(attitude.roll_at(*_GUIDER)) % 360,
            "gs_start_time": _spelled(guiding),
            "gs_stop_time": _spelled(guiding + _GUIDING_LASTS),
            "gs_pcs_mode": "FINEGUIDE",
            "visit_end_time": _spelled(end),
        }
    }
