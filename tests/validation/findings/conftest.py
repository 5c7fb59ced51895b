"""Rates that belong together, in memory, and what an exact step makes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from miri_background.validation.judgement import judge_products
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.expectation import Expectation
from miri_background.validation.products.stage2 import read_products

SIGMA, MAXITERS = 2.0, 3
FIELDS = {"science": 2, "background": 4}


def another(image, name, part, generator):
    """Return an exposure of the same sky, of whose noise only a part is reported."""
    good = np.isfinite(image.data)
    sky = np.where(good, np.nanmedian(image.data), np.nan)
    data = sky + image.err / part * generator.standard_normal(image.data.shape)
    return replace(image, path=Path(f"{name}_rate.fits"), data=data.astype(np.float32))


def subtracted(products, sigma=None, maxiters=MAXITERS, saved=True):
    """Return products of an exact step that clips with these parameters."""
    sigma = products.sigma if sigma is None else sigma
    average = average_backgrounds(products.backgrounds, sigma, maxiters)
    model = products.science[0]
    combined = replace(
        model,
        path=Path("combinedbackground.fits"),
        header=model.header.copy(),
        data=average.data.astype(np.float32),
        err=average.error.astype(np.float32),
        dq=average.dq,
        variances={},
    )
    combined.header.update(FILENAME="combinedbackground.fits", DATAMODL="ImageModel")
    images = []
    for rate in products.science:
        header, path = rate.header.copy(), Path(rate.path.name.replace("rate", "bsub"))
        header.update(
            S_BKDSUB="COMPLETE",
            ASNTABLE="asn.json",
            FILENAME=path.name,
            DATAMODL="ImageModel",
        )
        data = rate.data - combined.data
        images.append(replace(rate, path=path, header=header, data=data, dq=rate.dq | combined.dq))
    count = len(products.science)
    return replace(
        products,
        subtracted=images,
        combined=[combined if saved else None] * count,
        calibrated_headers=[image.header for image in images],
        calibrated_files=(),
        computed=(),
        associations=["asn.json"] * count,
    )


@pytest.fixture(scope="session")
def good(stage2_original):
    """Return the products of exposures that belong together; what the step was told is not sure."""
    generator = np.random.default_rng(2026)
    read = read_products(stage2_original)
    part = Expectation(read, truth=False).reported.parts[0]
    fields = {
        field: [
            another(read.science[0], f"{field}{number + 1}", part, generator)
            for number in range(many)
        ]
        for field, many in FIELDS.items()
    }
    together = replace(
        read,
        science=fields["science"],
        backgrounds=fields["background"],
        sigma=SIGMA,
        maxiters=MAXITERS,
        clipping_is_sure=False,
    )
    return subtracted(together)


@pytest.fixture(scope="session")
def step():
    """Return the exact step, a function of products."""
    return subtracted


@pytest.fixture(scope="session")
def altered(good):
    """Return a function that changes rates by number, and subtracts anew."""

    def change(science=None, backgrounds=None):
        fields = [
            [(changes or {}).get(number, lambda same: same)(image) for number, image in each]
            for changes, each in (
                (science, enumerate(good.science)),
                (backgrounds, enumerate(good.backgrounds)),
            )
        ]
        return subtracted(replace(good, science=fields[0], backgrounds=fields[1]))

    return change


@pytest.fixture(scope="session")
def judged():
    """Return a function that judges products and returns names of findings, and the judgement."""

    def judge(products):
        judgement = judge_products(products)
        return [each.name for each in judgement.findings], judgement

    return judge
