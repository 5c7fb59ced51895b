"""How the exposures were taken: readout, time, temperature."""

import numpy as np

from miri_background.validation.findings.finding import SPREAD, STRUCTURE, Finding

__all__ = ["another_epoch", "another_readout", "another_temperature", "times_of"]

# Keywords of the readout that change what the detector adds: dark, reset, persistence.
_READOUT = ("READPATT", "NGROUPS", "NINTS", "SUBARRAY", "TGROUP")
_EPOCH = 4.0  # days: the pattern of sky flats changes in 4 to 8 days (grizli; seen in F560W)
_TEMPERATURE = 0.1  # K, of the detector


def _values(inputs, keyword):
    """Return by value of a keyword the names of the exposures that have it, of both fields."""
    fields = ({}, {})
    for number, (header, name) in enumerate(zip(inputs.headers, inputs.names, strict=True)):
        fields[number >= inputs.count].setdefault(header.get(keyword), []).append(name)
    return fields


def another_readout(inputs):
    """Yield in what the backgrounds were read otherwise than the science exposures."""
    different, members = [], []
    for keyword in _READOUT:
        science, backgrounds = _values(inputs, keyword)
        foreign = [value for value in backgrounds if value not in science]
        foreign += [value for value in science if value not in backgrounds]
        if foreign and not (keyword == "TGROUP" and different):
            ours, theirs = (", ".join(map(str, each)) for each in (science, backgrounds))
            different.append(
                f"{keyword} {ours} in the science field and {theirs} in that of the backgrounds"
            )
            members += [
                name for value in backgrounds if value not in science for name in backgrounds[value]
            ]
    if not different:
        return
    yield Finding(
        "read otherwise",
        float(len(different)),
        "keywords",
        members[0] if members else "",
        f"The fields were read otherwise: {'; '.join(different)}. Dark, reset and persistence "
        "follow the readout, and do not subtract out.",
        "Take backgrounds with the readout of the science exposures; look at rows, columns and "
        "outputs of the residual. The pipeline extrapolates a dark that is shorter than a ramp "
        "(jwst issue 10333): its log says so.",
        (*STRUCTURE, *SPREAD),
    )


def times_of(inputs):
    """Return the middle of each exposure, days, NaN where a header does not say it.

    Parameters
    ----------
    inputs : Inputs
        Rates with their headers.

    Returns
    -------
    ndarray
        One number for each exposure, science first.
    """
    values = [
        next(
            (
                float(header[name])
                for name in ("EXPMID", "EXPSTART")
                if isinstance(header.get(name), int | float)
            ),
            np.nan,
        )
        for header in inputs.headers
    ]
    return np.array(values)


def another_epoch(inputs):
    """Yield how many days are between the fields."""
    times = times_of(inputs)
    science, backgrounds = times[: inputs.count], times[inputs.count :]
    if not (np.isfinite(science).any() and np.isfinite(backgrounds).any()):
        return
    apart = np.abs(backgrounds - np.nanmedian(science))
    furthest = int(np.nanargmax(apart))
    days = float(apart[furthest])
    if days < _EPOCH:
        return
    name = inputs.names[inputs.count + furthest]
    yield Finding(
        "another epoch",
        days,
        "days",
        name,
        f"{name} was taken {days:.1f} days from the science exposures: zodiacal light, thermal "
        "light and the pattern of the detector change in such a time.",
        "Compare the levels; take backgrounds in the same visit where faint extended light "
        "matters.",
        (*STRUCTURE, *SPREAD, "residual"),
    )


def another_temperature(inputs):
    """Yield by how much temperatures of the detector differ, where headers have any."""
    keywords = {
        name
        for header in inputs.headers
        for name in header
        if "TEMP" in name and isinstance(header[name], float)
    }
    for keyword in sorted(keywords):
        values = np.array([header.get(keyword, np.nan) for header in inputs.headers], dtype=float)
        science = values[: inputs.count]
        if not np.isfinite(science).any():
            continue
        apart = np.abs(values[inputs.count :] - np.nanmedian(science))
        if not np.isfinite(apart).any() or np.nanmax(apart) < _TEMPERATURE:
            continue
        furthest = int(np.nanargmax(apart))
        name = inputs.names[inputs.count + furthest]
        yield Finding(
            "another temperature",
            float(apart[furthest]),
            "K",
            name,
            f"{name} has {keyword} = {values[inputs.count + furthest]:g}, and the science "
            f"exposures {np.nanmedian(science):g}: dark current and gain follow it.",
            "Leave it out, or take backgrounds at the same temperature.",
            (*STRUCTURE, *SPREAD, "residual"),
        )
