"""Charge passes from full pixels to empty ones, as much as was asked for, and none is lost."""

import numpy as np
import pytest

from miri_background.instrument.detector import FULL_WELL
from miri_background.instrument.readout import Readout
from miri_background.observation import Observation
from miri_background.simulation.migration import ChargeMigration, charge_migration

GROUPS, PART, FILLED = 200, 0.05, 0.5
READOUT = Readout("SUB256", "FASTR1", GROUPS, 1)
ROW, COLUMN = 100, 120


@pytest.fixture(scope="module")
def collected():
    """Return what a single bright pixel of a dark array, and others, have collected at the end."""
    rate = np.zeros(READOUT.window.shape)
    rate[ROW, COLUMN] = FILLED * FULL_WELL / READOUT.integration_time
    migration = ChargeMigration(rate, READOUT, PART)
    charge = np.zeros(rate.shape)
    for group in range(GROUPS):
        charge += migration.expected(rate * READOUT.frame_time, charge, 0, group)
    return charge, migration.rate


def test_full_pixel_passes_on_what_is_asked_for(collected):
    """Each of four neighbours gets the part of each new electron, times how full the pixel is."""
    charge, _ = collected
    # How full the pixel is, f, grows as 1 - 4 p f; the neighbour's own charge is second order.
    whole = FILLED - (1 - np.exp(-4 * PART * FILLED)) / (4 * PART)
    lost = 1 - charge[ROW, COLUMN] / (FILLED * FULL_WELL)
    # The well of a pixel is within a tenth of the mean.
    assert lost == pytest.approx(whole / FILLED, rel=0.12)


def test_charge_is_kept(collected):
    """What the pixel loses its four neighbours have, and no other."""
    charge, _ = collected
    assert charge.sum() == pytest.approx(FILLED * FULL_WELL, rel=1e-6)
    of_neighbours = [charge[ROW + y, COLUMN + x] for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    assert min(of_neighbours) > 0.9 * max(of_neighbours) > 0
    assert np.count_nonzero(charge) == 5


def test_rate_is_that_of_the_fitted_groups(collected):
    """Slopes see the mean of the effect over the ramp."""
    charge, rate = collected
    assert rate.sum() == pytest.approx(0, abs=1e-9 * FULL_WELL)
    lost = FILLED * FULL_WELL - charge[ROW, COLUMN]
    # The first two groups and the last are not fitted, and the last has most of it.
    assert -rate[ROW, COLUMN] * READOUT.integration_time == pytest.approx(lost, rel=0.02)


def test_nothing_moves_by_default():
    """There is no effect without a part."""
    assert charge_migration(Observation(), np.ones(READOUT.window.shape), READOUT) is None
