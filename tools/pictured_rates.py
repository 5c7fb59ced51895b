"""Draw rates with and without what flight images have, docs/rates.png for docs/fidelity.md.

Three exposures of the full array go through the simulator and calwebb_detector1.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from miri_background.instrument.footprint import illuminated
from miri_background.instrument.optics import point_spread_function
from miri_background.observation import Observation
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.reporting.drawing import draw, picture
from miri_background.settings import suite_cache
from miri_background.simulation.exposures import simulate

TARGET = Path(__file__).resolve().parents[1] / "docs" / "rates.png"
FLIGHT = {
    "wavefront_error": 75.0,
    "wavefront_change": 30.0,
    "phase_mask_glow": 30.0,
    "background_galaxies": 155.0,
    "shower_rate": 1.0,
    "latent_fraction": 0.5,
}
PANELS = (
    ("science, default options", {}, "science", 1),
    ("science, with what flight has", FLIGHT, "science", 1),
    ("background, with what flight has", FLIGHT, "background", 1),
)
RANGE = (0.9, 1.3)  # of the sky: its structure is seen, and cores of stars are not


def rate_of(observation, field, dither, directory):
    """Return the rate of a simulated exposure, DN/s."""
    # Imported here: CRDS reads its environment then.
    from miri_background.calibration.pipeline import called_detector1
    from miri_background.validation.products.images import read_image

    exposure = observation.exposure(field, dither)
    errors = observation.wavefront_error, observation.wavefront_change
    psf = point_spread_function(observation.filter, *(errors if any(errors) else ()))
    uncal = directory / f"{exposure.name}_uncal.fits"
    simulate(observation, exposure, psf).level1b.save(str(uncal))
    called_detector1(uncal, str(directory), directory / "log")
    return np.array(read_image(directory / f"{exposure.name}_rate.fits").data)


def main():
    """Write the picture."""
    os.environ.update(crds_environment(synthetic_cache(suite_cache(), Observation())))
    rates = []
    for _, changes, field, dither in PANELS:
        with tempfile.TemporaryDirectory() as directory:
            observation = Observation.create(**changes)
            rates.append(rate_of(observation, field, dither, Path(directory)))
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    low, high = (part * float(np.nanmedian(rates[0][illuminated()])) for part in RANGE)
    for axes, rate, (title, *_) in zip(figure.subplots(1, 3), rates, PANELS, strict=True):
        drawn = draw(axes, rate, "FULL", low, high)
        axes.set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=figure.axes, label="rate (DN/s, linear stretch)", shrink=0.8)
    TARGET.write_bytes(picture(figure))


if __name__ == "__main__":
    main()
