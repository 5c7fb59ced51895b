"""Products of calwebb_image2 on disk, small, that no pipeline had to run for."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from miri_background.instrument.detector import GAIN, READ_NOISE, bad_pixels
from miri_background.instrument.footprint import illuminated
from miri_background.instrument.readout import frame_time, subarrays

GROUPS, FITTED = 100, 95
SKY = 14.0  # DN/s
SUBARRAY = "SUB256"
BACKGROUNDS = 3  # so few that sigma = 3, the step's default, clips nothing
FILTER = "F770W"


def _header(**keywords):
    """Return the primary header of a rate."""
    read = subarrays()[SUBARRAY]
    rows, columns = read.shape
    return fits.Header(
        {
            "TELESCOP": "JWST",
            "INSTRUME": "MIRI",
            "EXP_TYPE": "MIR_IMAGE",
            "FILTER": FILTER,
            "READPATT": "FASTR1",
            "SUBARRAY": SUBARRAY,
            "SUBSTRT1": read.x.start + 1,
            "SUBSTRT2": read.y.start + 1,
            "SUBSIZE1": columns,
            "SUBSIZE2": rows,
            "NGROUPS": GROUPS,
            "NINTS": 1,
            "TFRAME": frame_time("FASTR1", SUBARRAY),
            "CAL_VER": "1.6.2",
            "CRDS_CTX": "jwst_1000.pmap",
            **keywords,
        }
    )


def _write(path, header, planes):
    """Write a product as the pipeline does: a primary header, and an image for each plane."""
    images = [fits.ImageHDU(plane, name=name) for name, plane in planes.items()]
    fits.HDUList([fits.PrimaryHDU(header=header), *images]).writeto(path)


def _rate(generator, integrations):
    """Return the planes of a rate of empty sky, a cube if there are integrations."""
    read = subarrays()[SUBARRAY]
    shape = (*((integrations,) if integrations else ()), *read.shape)
    time = frame_time("FASTR1", SUBARRAY)
    sky = np.where(illuminated(SUBARRAY), SKY, 0.0)
    photons = sky / (GAIN * time * (FITTED - 1))
    reads = 12 * READ_NOISE**2 / ((FITTED**3 - FITTED) * time**2)
    error = np.sqrt(photons + reads)
    bad = read.cut(bad_pixels()) > 0
    data = np.where(bad, np.nan, sky + error * generator.standard_normal(shape))
    planes = {"SCI": data, "ERR": error, "VAR_POISSON": photons, "VAR_RNOISE": reads}
    planes = {
        name: np.broadcast_to(plane, shape).astype(np.float32) for name, plane in planes.items()
    }
    return planes | {"DQ": np.broadcast_to(bad, shape).astype(np.uint32)}


def _average(rates):
    """Return the planes of the combined background of which nothing is clipped."""
    values = np.stack([rate["SCI"] for rate in rates]).astype(float)
    squares = np.stack([rate["ERR"] for rate in rates]).astype(float) ** 2
    flags = np.stack([rate["DQ"] for rate in rates])
    if values.ndim == 4:
        values, squares = values.mean(axis=1), squares.mean(axis=1)
        flags = np.bitwise_or.reduce(flags, axis=1)
    lost = np.isnan(values).all(axis=0)
    mean = values.mean(axis=0)
    error = np.sqrt(squares.sum(axis=0)) / len(rates)
    return {
        "SCI": np.where(lost, 0, mean).astype(np.float32),
        "ERR": np.where(lost, 0, error).astype(np.float32),
        "DQ": np.bitwise_or.reduce(flags, axis=0),
    }


def _association(science, backgrounds):
    """Return an association of one product."""
    members = [{"expname": science, "exptype": "science"}]
    members += [{"expname": name, "exptype": "background"} for name in backgrounds]
    product = {"name": science.rsplit("_", 1)[0], "members": members}
    return {"asn_type": "image2", "products": [product]}


@pytest.fixture(scope="session")
def real_file(repository):
    """Return a function that gives a file that this suite did not make, or skips the test."""

    def find(name):
        path = repository.parent / "shared" / "real" / name
        if not path.exists():
            pytest.skip(f"../shared/real/{name} is not beside the checkout")
        return path

    return find


FLIGHT_FILES = (
    "flight/jw01288015001_26101_00003_mirimage_i2d.fits",
    "flight/jw01288015001_04101_00001_mirimage_i2d.fits",
    "flight/jw01288016001_34101_00002_mirimage_i2d.fits",
    "flight/jw01714001001_02103_00003_mirimage_i2d.cutout64.fits",
)
# What numbers and times are written with; other texts are names, which differ.
_SPELLING = re.compile(r"(?:jw|PRDOPSSOC)?[-0-9TVP:. ]*[0-9][-0-9TVP:. ]*")


@pytest.fixture(params=FLIGHT_FILES)
def flight_file(request, real_file):
    """Return the path of a flight product, or skip the test."""
    return real_file(request.param)


def _cards(path):
    """Return the cards of the primary header and of SCI by name."""
    with fits.open(path) as hdus:
        cards = [card for hdu in (hdus[0], hdus["SCI"]) for card in hdu.header.cards]
        return {card.keyword: card.value for card in cards if card.keyword}


def _difference(name, ours, flight):
    """Return how a card differs from that of flight, None if it does not."""
    if name not in ours:
        return "absent"
    if type(ours[name]) is not type(flight[name]):
        return f"{ours[name]!r} is not of the type of {flight[name]!r}"
    # Versions are as long as they are.
    digits = "[0-9]+" if name.endswith("_VER") else "[0-9]"
    forms = [re.sub(digits, "9", str(each[name])) for each in (ours, flight)]
    if isinstance(flight[name], str) and _SPELLING.fullmatch(flight[name]):
        return (
            None if forms[0] == forms[1] else f"{ours[name]!r} is not spelled as {flight[name]!r}"
        )
    return None


@pytest.fixture(scope="session")
def different_cards(repository):
    """Return a function that gives the cards in which a product differs from one of flight.

    Cards are left out that docs/flight_constants.md lists below the given headings: tables of
    cards that are not needed, each with its reason.
    """
    text = (repository / "docs" / "flight_constants.md").read_text(encoding="utf-8")

    def find(product, flight_product, headings):
        flight, ours = _cards(flight_product), _cards(product)
        listed = []
        for heading in headings:
            (section,) = re.findall(rf"^### Cards {heading}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
            rows = re.findall(r"^\| (`[^|]*) \|[^|]+\|$", section, re.M)
            listed += [name for row in rows for name in re.findall("`([^`]+)`", row)]
        found = {name: _difference(name, ours, flight) for name in flight if name not in listed}
        return {name: how for name, how in found.items() if how}

    return find


@pytest.fixture(scope="session")
def write_stage2():
    """Return a function that writes science exposures with their backgrounds and products.

    By default, the names are science_*.fits and background1_*.fits to background3_*.fits; all
    files are side by side.
    """

    def write(directory, integrations=None, science=("science",), backgrounds=BACKGROUNDS):
        generator = np.random.default_rng(770)
        kinds = ("rateints", "bsubints", "calints") if integrations else ("rate", "bsub", "cal")
        rate, bsub, cal = (f"{kind}.fits" for kind in kinds)
        header = _header(NINTS=integrations or 1)
        members = [f"background{number + 1}" for number in range(backgrounds)]
        rates = {name: _rate(generator, integrations) for name in (*science, *members)}
        for name, planes in rates.items():
            _write(directory / f"{name}_{rate}", header, planes)
        combined = _average([rates[name] for name in members])
        for name in science:
            _write(directory / f"{name}_combinedbackground.fits", fits.Header(), combined)
            results = rates[name] | {
                "SCI": rates[name]["SCI"] - combined["SCI"],
                "DQ": rates[name]["DQ"] | combined["DQ"],
            }
            asn = f"{'' if name == 'science' else f'{name}_'}image2_asn.json"
            done = header + fits.Header({"S_BKDSUB": "COMPLETE", "ASNTABLE": asn})
            for result in (bsub, cal):
                _write(directory / f"{name}_{result}", done, results)
            association = _association(f"{name}_{rate}", [f"{each}_{rate}" for each in members])
            (directory / asn).write_text(json.dumps(association))

    return write


@pytest.fixture(scope="session")
def stage2_original(write_stage2, tmp_path_factory):
    """Return a directory of small products of a correct step, not to be changed."""
    directory = tmp_path_factory.mktemp("products")
    write_stage2(directory)
    return directory


@pytest.fixture
def stage2(stage2_original, tmp_path):
    """Return a directory of small products that a test may change.

    FITS files are linked, and not to be written into.
    """

    def copy(source, target):
        (os.link if source.endswith(".fits") else shutil.copy)(source, target)

    target = tmp_path / "products"
    shutil.copytree(stage2_original, target, copy_function=copy)
    return target


@pytest.fixture(scope="session")
def rewrite():
    """Return a function that changes a FITS file, and no other that is linked to it."""

    def change(path, function):
        with fits.open(path, memmap=False) as hdus:
            function(hdus)
            aside = path.with_suffix(".aside")
            hdus.writeto(aside)
        aside.replace(path)

    return change


@pytest.fixture(scope="session")
def add_truth():
    """Return a function that writes the truth of the exposures of small products."""

    def write(directory, names, cosmic_rays=True):
        shape = subarrays()[SUBARRAY].shape
        sky = np.where(illuminated(SUBARRAY), SKY, 0.0).astype(np.float32)
        (directory / "truth").mkdir(exist_ok=True)
        star = {"x": [100.0], "y": [100.0], "flux": [0.0], "kind": ["star"]}
        tables = {"CATALOG": star} | ({"COSMIC_RAYS": {"group": [1]}} if cosmic_rays else {})
        for name in names:
            fits.HDUList(
                [
                    fits.PrimaryHDU(),
                    fits.ImageHDU(sky, name="BACKGROUND"),
                    fits.ImageHDU(np.zeros(shape, np.float32), name="SOURCES"),
                    *(fits.BinTableHDU(QTable(tables[key]), name=key) for key in tables),
                ]
            ).writeto(directory / "truth" / f"{name}_truth.fits")

    return write
