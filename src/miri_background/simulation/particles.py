"""Charge that does not come through the telescope: cosmic rays, one by one and in showers."""

from dataclasses import dataclass

import numpy as np

from miri_background.instrument.detector import (
    INTERPIXEL_CAPACITANCE,
    PIXEL_SIZE,
    SHAPE,
    reference_pixels,
)

__all__ = ["Deposits", "cosmic_rays", "showers"]

# Minimum-ionising particles through the 35 micrometre that collect charge.
_DEPTH = 35.0  # micrometre, infrared-active layer of MIRI's Si:As arrays (Rieke et al. 2015)
_LOSS = 80.0  # electron / micrometre: 290 eV/um in silicon at 3.6 eV per pair
_LOSS_SPREAD = 0.15  # width of the Moyal (straggling) distribution, relative
_LONGEST_TRACK = 40 * PIXEL_SIZE  # micrometre in the plane of the array
_TRACK_STEP = 5.0  # micrometre between deposits along a track
_CHARGE_SPREAD = 0.28 * PIXEL_SIZE  # micrometre: diffusion, rms per axis

_HITS_AT_ONCE = 20_000  # of long exposures, tracks are followed in parts, to save memory

# Showers: faint irregular patches that fade (JWST user documentation describes them, without
# numbers); sizes are round values of what is seen in flight.
_SHOWER_RADIUS = (8.0, 25.0)  # pixels, uniform
_SHOWER_PEAK = (100.0, 400.0)  # electron per pixel in its centre, uniform
_SHOWER_CLUMPS = 0.5  # relative scatter from clump to clump
_SHOWER_CLUMP_SIZE = 4  # pixels
_SHOWER_DECAY = 3.0  # groups, e-folding
_SHOWER_LEAST = 1.0  # electron: fainter parts are left out
_SHOWER_GROUPS = 10  # later, a fading shower is below the noise


@dataclass(frozen=True)
class Deposits:
    """Charge that appears in a pixel in one group; a pixel can have several.

    Parameters
    ----------
    integration, group, row, column : ndarray of int
        Where, 0-based; rows and columns of the array that is read.
    electrons : ndarray
        How much.
    """

    integration: np.ndarray
    group: np.ndarray
    row: np.ndarray
    column: np.ndarray
    electrons: np.ndarray

    def within(self, integration, group):
        """Return rows, columns and electrons of one group."""
        now = (self.integration == integration) & (self.group == group)
        return self.row[now], self.column[now], self.electrons[now]

    def joined(self, *others):
        """Return these deposits and others together."""
        return Deposits(
            *(
                np.concatenate([getattr(each, name) for each in (self, *others)])
                for name in self.__dataclass_fields__
            )
        )

    def merged(self):
        """Return one deposit for each pixel and group, in order."""
        if self.row.size == 0:
            return self
        places = (self.integration, self.group, self.row, self.column)
        # One number for each place: sorting rows of four takes fifty times as long.
        shape = tuple(int(each.max()) + 1 for each in places)
        number, owner = np.unique(np.ravel_multi_index(places, shape), return_inverse=True)
        electrons = np.bincount(owner, self.electrons, minlength=len(number))
        return Deposits(*np.unravel_index(number, shape), electrons)


def _on_pixels(read, integration, group, row, column, electrons):
    """Return the deposits that meet light-sensitive pixels, charge shared with the neighbours."""
    reach = [offset - 1 for offset in range(3)]
    shares = [(dy, dx, INTERPIXEL_CAPACITANCE[dy + 1, dx + 1]) for dy in reach for dx in reach]
    rows = np.concatenate([row + dy for dy, _, _ in shares])
    columns = np.concatenate([column + dx for _, dx, _ in shares])
    charge = np.concatenate([electrons * share for _, _, share in shares])
    integrations, groups = (np.tile(each, len(shares)) for each in (integration, group))
    height, width = read.shape
    kept = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    blind = read.cut(reference_pixels())
    kept[kept] = ~blind[rows[kept], columns[kept]]
    return Deposits(integrations[kept], groups[kept], rows[kept], columns[kept], charge[kept])


def _nothing(read):
    """Return no deposits."""
    return _on_pixels(read, *np.zeros((4, 0), dtype=int), np.zeros(0))


def _number(read, rate, time, generator):
    """Return how many events meet an array, for a rate per second on the full array."""
    part = read.shape[0] * read.shape[1] / (SHAPE[0] * SHAPE[1])
    return generator.poisson(rate * part * time)


def cosmic_rays(read, rate, group_time, groups, integrations, generator):
    """Return the charge that cosmic rays leave, as deposits along their tracks.

    Particles come from all directions, so the number through the plane goes as the
    cosine of the angle; a slanted track is longer and crosses several pixels.

    Parameters
    ----------
    read : Subarray
        What is read.
    rate : float
        Hits per second on the full array.
    group_time : float
        Time from group to group, s.
    groups, integrations : int
        Of the exposure.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Deposits
        None in reference pixels.
    """
    hits = _number(read, rate, group_time * groups * integrations, generator)
    integration = generator.integers(integrations, size=hits)
    group = generator.integers(groups, size=hits)
    height, width = read.shape
    x = generator.uniform(0, width * PIXEL_SIZE, hits)
    y = generator.uniform(0, height * PIXEL_SIZE, hits)
    # Isotropic flux through a plane: cos^2 of the angle is uniform.
    cosine = np.sqrt(1.0 - generator.random(hits))
    direction = generator.uniform(0, 2 * np.pi, hits)
    across = np.minimum(_DEPTH * np.sqrt(1 - cosine**2) / cosine, _LONGEST_TRACK)
    path = np.hypot(across, _DEPTH)
    # A Moyal variable is -ln of a squared normal one.
    straggling = 1 + _LOSS_SPREAD * -np.log(generator.standard_normal(hits) ** 2)
    charge = _LOSS * path * np.maximum(straggling, 0.1)

    parts = []
    for first in range(0, hits, _HITS_AT_ONCE):
        some = slice(first, first + _HITS_AT_ONCE)
        steps = np.maximum(np.ceil(path[some] / _TRACK_STEP).astype(int), 1)
        owner = np.repeat(np.arange(len(steps)), steps)
        order = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
        along = (order + 0.5) / steps[owner] * across[some][owner]
        spread = generator.normal(0.0, _CHARGE_SPREAD, (2, owner.size))
        column, row = (
            np.floor((start[some][owner] + along * part[some][owner] + diffused) / PIXEL_SIZE)
            for start, part, diffused in (
                (x, np.cos(direction), spread[0]),
                (y, np.sin(direction), spread[1]),
            )
        )
        parts.append(
            _on_pixels(
                read,
                integration[some][owner],
                group[some][owner],
                row.astype(int),
                column.astype(int),
                (charge[some] / steps)[owner],
            ).merged()
        )
    return _nothing(read).joined(*parts)


def showers(read, rate, group_time, groups, integrations, generator):
    """Return the charge of cosmic-ray showers: faint irregular patches that fade over groups.

    Parameters
    ----------
    read : Subarray
        What is read.
    rate : float
        Showers per second on the full array.
    group_time : float
        Time from group to group, s.
    groups, integrations : int
        Of the exposure.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Deposits
        A reset ends a shower.
    """
    number = _number(read, rate, group_time * groups * integrations, generator)
    parts = []
    for _ in range(number):
        integration, start = generator.integers(integrations), generator.integers(groups)
        radius, peak = generator.uniform(*_SHOWER_RADIUS), generator.uniform(*_SHOWER_PEAK)
        centre = generator.uniform(0, read.shape)
        half = int(2 * radius)
        dy, dx = np.indices((2 * half + 1, 2 * half + 1)) - half
        clumps = -(-(2 * half + 1) // _SHOWER_CLUMP_SIZE)
        uneven = 1 + _SHOWER_CLUMPS * generator.standard_normal((clumps, clumps))
        block = np.ones((_SHOWER_CLUMP_SIZE, _SHOWER_CLUMP_SIZE))
        uneven = np.kron(np.maximum(uneven, 0.0), block)[: 2 * half + 1, : 2 * half + 1]
        charge = peak * np.exp(-0.5 * (dx**2 + dy**2) / (radius / 2) ** 2) * uneven
        felt = charge > _SHOWER_LEAST
        electrons = charge[felt]
        row, column = (
            (np.floor(position) + offset[felt]).astype(int)
            for position, offset in zip(centre, (dy, dx), strict=True)
        )
        for late in range(min(_SHOWER_GROUPS, groups - start)):
            share = np.exp(-late / _SHOWER_DECAY) * -np.expm1(-1 / _SHOWER_DECAY)
            when = (np.full(row.size, integration), np.full(row.size, start + late))
            parts.append(_on_pixels(read, *when, row, column, share * electrons).merged())
    return _nothing(read).joined(*parts)
