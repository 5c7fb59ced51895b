"""Named sets of parameters: what isolates the step, what flight has, what breaks reductions.

A preset gives values to parameters that nobody gave; what is given wins.  A new effect takes part
in a preset by one line here.
"""

from types import MappingProxyType

from miri_background.parameters import RunParameters, every_parameter

__all__ = ["PRESETS", "preset_parameters", "with_preset"]

# In the mean of four visits (F560W, PID 1040) and of two (F1130W, PID 2107); the first exposures of
# other filters are within 0.4 % of the later ones (PIDs 1040, 2107, 2732, 2736).
_FIRST_EXPOSURE_EXCESS = MappingProxyType({"F560W": 24.8, "F1130W": 0.6})  # %

# Where a value is a function, it is called with the filter.
PRESETS = MappingProxyType(
    {
        # Both fields have one sky and one detector: whatever is found is the step's.
        "clean": MappingProxyType({}),
        # What flight exposures have beside that, in the sizes that they have it.  Latent images of
        # 1 % at most (JWST user documentation) are below the noise, and take a third more time.
        "flight": MappingProxyType(
            {
                "first_exposure_excess": lambda name: _FIRST_EXPOSURE_EXCESS.get(name, 0.0),
                # DIRBE saw the ecliptic poles change by about a tenth (Kelsall et al. 1998).
                "zodiacal_season": 10.0,
                # A tenth of the dark current; no number is published.
                "dark_stripes": 0.02,
                # Cores of stars near saturation get wider by some percent (Argyriou et al. 2023).
                "brighter_fatter": 2.0,
                "wavefront_error": 75.0,  # nm, Rigby et al. (2023): 65 to 80
                # Counts to 0.1 microjansky, Sajkov et al. (2024).
                "background_galaxies": 155.0,
                # Boccaletti et al. (2022) describe the glow; nobody has published its brightness.
                "phase_mask_glow": 30.0,
            }
        ),
        # What people have reported, as large as they have reported it, or larger.
        "hard": MappingProxyType(
            {
                "dark_stripes": 1.0,  # stripes of some percent of the sky: jwst issue 8517
                "brighter_fatter": 5.0,  # jwst issue 9526
                "latent_fraction": 5.0,  # jwst issue 10553
                "wavefront_error": 120.0,
                "wavefront_change": 60.0,
                "background_galaxies": 300.0,
                "phase_mask_glow": 100.0,
                "science_nebula": 0.5,  # extended light that dithers do not move off
                "background_nebula": 0.5,
                "science_brightest": 50_000.0,  # saturates in the first groups: jwst issue 9199
                "background_delay": 30.0,  # another epoch, and another sky
                "zodiacal_season": 20.0,
                "thermal_drift": -0.2,
                "background_groups": (10,),  # jwst issues 10333 and 10566
                "dark_groups": 10,  # the dark is extrapolated: jwst issue 10333
            }
        ),
    }
)


def preset_parameters(preset, filter_name):
    """Return what a preset says.

    Parameters
    ----------
    preset : str
        Name, a key of `PRESETS`.
    filter_name : str
        Filter of the observation.

    Returns
    -------
    dict
        Values of parameters by name.
    """
    return {
        name: value(filter_name) if callable(value) else value
        for name, value in PRESETS[preset].items()
    }


def with_preset(parameters, complete=False):
    """Return parameters with those of the preset that they name.

    Parameters
    ----------
    parameters : dict
        Parameters by name, and anything else.  What is given wins over the preset.
    complete : bool, optional
        Whether all parameters are there, as in the notebook's cell: then those at their defaults
        count as not given.

    Returns
    -------
    dict
        The same with the values of the preset, and without its name.

    Raises
    ------
    InvalidParameter
        If there is no such preset.
    """
    named = {name: parameters[name] for name in ("preset",) if name in parameters}
    preset = RunParameters.of(named).preset
    known = every_parameter()
    filter_name = parameters.get("filter", known["filter"].model_fields["filter"].default)
    chosen = {
        name: value
        for name, value in preset_parameters(preset, filter_name).items()
        if name not in parameters or (complete and _is_default(name, parameters[name]))
    }
    return {name: value for name, value in parameters.items() if name != "preset"} | chosen


def _is_default(name, value):
    """Return whether a parameter has its default, in whatever way it is written."""
    kind = every_parameter()[name]
    return name not in kind.of({name: value}).changes()
