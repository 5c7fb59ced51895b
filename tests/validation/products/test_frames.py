"""A background of the whole detector is cut to what a subarray's science exposure sees."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from miri_background.outcomes import CannotJudge
from miri_background.validation.prediction.clipping import average_backgrounds
from miri_background.validation.prediction.rounding import different
from miri_background.validation.products.frames import (
    covered,
    in_frame,
    placed_at_corner,
    truth_in_frame,
)
from miri_background.validation.products.images import Image, Truth

KEYWORDS = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
WHOLE = (1, 1, 12, 10)  # first column and row, from 1, and numbers of columns and rows
PART = (3, 2, 5, 4)


def header(window):
    """Return the header of an exposure that reads a window."""
    return fits.Header(dict(zip(KEYWORDS, window, strict=True)))


def exposure(window, integrations=()):
    """Return an exposure whose values say where they are: rows x 100 + columns, from 1."""
    first_column, first_row, columns, rows = window
    place = np.arange(rows)[:, np.newaxis] + first_row, np.arange(columns) + first_column
    data = np.broadcast_to(100.0 * place[0] + place[1], (*integrations, rows, columns))
    data = data.astype(np.float32)
    return Image("in memory", header(window), data, data + 1, data.astype(np.uint32), {"V": -data})


@pytest.mark.parametrize("integrations", [(), (3,)], ids=["rate", "rateints"])
def test_part_is_cut(integrations):
    """Every plane of a whole background becomes that of the window."""
    cut, expected = in_frame(exposure(WHOLE, integrations), header(PART)), exposure(PART)
    for name in ("data", "err", "dq"):
        plane = getattr(cut, name)
        assert plane.shape == (*integrations, 4, 5)
        assert plane.dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(plane, np.broadcast_to(getattr(expected, name), plane.shape))
    assert cut.variances["V"].shape == (*integrations, 4, 5)


def test_same_window_is_as_it_is():
    """Nothing is copied where nothing is to be cut."""
    image = exposure(PART)
    assert in_frame(image, header(PART)) is image


@pytest.mark.parametrize("window", [(1, 1, 4, 3), (6, 4, 4, 4), (1, 3, 12, 1)])
def test_outside_there_is_nothing(window):
    """Pixels that the background does not have are not a number and not flagged."""
    cut, expected = in_frame(exposure(window), header(PART)), exposure(PART)
    seen = np.isfinite(cut.data)
    columns, rows = expected.data % 100, expected.data // 100
    inside = (columns >= window[0]) & (columns < window[0] + window[2])
    inside &= (rows >= window[1]) & (rows < window[1] + window[3])
    np.testing.assert_array_equal(seen, inside)
    np.testing.assert_array_equal(cut.data[seen], expected.data[seen])
    assert not cut.dq[~seen].any()


@pytest.mark.parametrize(("integrations", "shape"), [((), (4, 5)), ((3,), (0, 4, 5))])
def test_without_overlap_there_is_nothing_at_all(integrations, shape):
    """A rate is not a number everywhere; a cube has no integration, which would count as 0."""
    cut = in_frame(exposure((20, 20, 3, 3), integrations), header(PART))
    assert cut.data.shape == shape
    assert not np.isfinite(cut.data).any()


def test_pixels_that_are_covered():
    """They are those in which the background has values."""
    image = exposure((6, 4, 4, 4))
    seen = np.isfinite(in_frame(image, header(PART)).data)
    np.testing.assert_array_equal(covered(image, header(PART)), seen)


def test_overlap_at_the_corner():
    """What overlaps begins in the first pixel; what it leaves has no value."""
    cut = in_frame(exposure((6, 4, 4, 4)), header(PART))
    moved = placed_at_corner(cut, header(PART))
    # The background begins three columns and two rows inside the science exposure.
    np.testing.assert_array_equal(moved.data[:2, :2], cut.data[2:, 3:])
    np.testing.assert_array_equal(moved.dq[:2, :2], cut.dq[2:, 3:])
    assert np.isfinite(moved.data).sum() == 4


@pytest.mark.parametrize("window", [WHOLE, PART, (1, 1, 5, 4)])
def test_overlap_that_is_at_the_corner_anyway(window):
    """There is no wrong place for it."""
    cut = in_frame(exposure(window), header(PART))
    assert placed_at_corner(cut, header(PART)) is cut


def truth_of(window):
    """Return the truth of an exposure: rates that say where they are, and a star at its origin."""
    image = exposure(window)
    catalogue = QTable({"x": [0.0], "y": [0.0]}, units={"x": "pix", "y": "pix"})
    return image, Truth(image.data, -image.data, catalogue)


def test_truth_of_the_whole_detector_is_cut():
    """Rates are those of the science exposure's pixels, and positions count from its first."""
    image, truth = truth_of(WHOLE)
    cut = truth_in_frame(truth, image, header(PART))
    np.testing.assert_array_equal(cut.background, exposure(PART).data)
    np.testing.assert_array_equal(cut.sources, -exposure(PART).data)
    assert (cut.catalogue["x"][0].value, cut.catalogue["y"][0].value) == (-2, -1)


def test_pixels_that_were_hit_are_cut():
    """Nothing was hit where the background has no pixel, and what nobody knows stays unknown."""
    image, truth = truth_of((6, 4, 4, 4))
    assert truth_in_frame(truth, image, header(PART)).hit is None
    everywhere = replace(truth, hit=np.ones(image.data.shape, dtype=bool))
    cut = truth_in_frame(everywhere, image, header(PART))
    np.testing.assert_array_equal(cut.hit, covered(image, header(PART)))


def test_truth_of_another_part_is_nothing_elsewhere():
    """Where the background has no pixel, it has no light either."""
    image, truth = truth_of((6, 4, 4, 4))
    cut = truth_in_frame(truth, image, header(PART))
    assert not cut.sources[~covered(image, header(PART))].any()
    assert (cut.catalogue["x"][0].value, cut.catalogue["y"][0].value) == (3, 2)


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize("value", [None, "all of it"])
def test_header_that_does_not_say_where(keyword, value):
    """A missing or meaningless keyword is named, with the file."""
    image = exposure(WHOLE)
    del image.header[keyword]
    if value:
        image.header[keyword] = value
    with pytest.raises(CannotJudge, match=r"^in memory does not say .*SUBSTRT1"):
        in_frame(image, header(PART))


# ------------------------------------------------------------------ against the step


def saved(path, image):
    """Write an exposure as the pipeline does, and return it with its path."""
    from stdatamodels.jwst.datamodels import CubeModel, ImageModel

    model = (ImageModel if image.data.ndim == 2 else CubeModel)(image.data.shape)
    model.data, model.err, model.dq = image.data, image.err, image.dq
    model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
    window = (image.header[keyword] for keyword in KEYWORDS)
    for name, value in zip(("xstart", "ystart", "xsize", "ysize"), window, strict=True):
        setattr(model.meta.subarray, name, value)
    model.save(path)
    model.close()
    return replace(image, path=path)


def noisy(window, integrations, generator):
    """Return an exposure with stars, flags and pixels without value or error."""
    shape = (*integrations, window[3], window[2])
    data = generator.normal(14.0, 0.3, shape)
    data[generator.random(shape) < 0.05] += 500.0
    error = generator.uniform(0.2, 0.4, shape)
    for plane, value in ((data, np.nan), (data, np.inf), (error, np.nan), (error, np.inf)):
        plane[generator.random(shape) < 0.02] = value
    data[..., 30, :] = np.nan
    dq = np.where(generator.random(shape) < 0.05, 5, 0)
    planes = (data.astype(np.float32), error.astype(np.float32), dq.astype(np.uint32))
    return Image("in memory", header(window), *planes)


@pytest.fixture(scope="module")
def step_of_subarray(tmp_path_factory):
    """Return what the step makes of a subarray with backgrounds of the whole detector."""
    # The pipeline is loaded by slow tests only.
    from jwst.background.background_sub import background_sub
    from stdatamodels.jwst import datamodels

    whole, part = (1, 1, 1032, 1024), (413, 51, 256, 256)

    def run(integrations, windows=(whole,) * 4):
        generator = np.random.default_rng(770)
        directory = tmp_path_factory.mktemp("step")
        science = saved(directory / "science.fits", noisy(part, integrations, generator))
        backgrounds = [
            saved(directory / f"background{number}.fits", noisy(window, integrations, generator))
            for number, window in enumerate(windows)
        ]
        with datamodels.open(science.path) as model:
            combined, _ = background_sub(
                model, [str(image.path) for image in backgrounds], 2.0, None
            )
        return combined, [in_frame(image, science.header) for image in backgrounds]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("integrations", [(), (4,)], ids=["rate", "rateints"])
@pytest.mark.parametrize(
    "windows",
    [
        ((1, 1, 1032, 1024),) * 4,
        # One is of another part of the detector, one of the beginning of this one.
        ((1, 1, 1032, 1024),) * 2 + ((1, 779, 72, 64), (413, 51, 100, 100)),
    ],
    ids=["whole", "partly elsewhere"],
)
def test_average_is_the_steps(step_of_subarray, integrations, windows):
    """What the step combines for a subarray is the independent average of the cut backgrounds."""
    combined, backgrounds = step_of_subarray(integrations, windows)
    average = average_backgrounds(backgrounds, 2.0)
    certain = average.certain
    assert certain.mean() > 0.98
    wrong = different(combined.data, average.data, average.rounding)
    wrong |= different(combined.err, average.error, average.error_rounding)
    assert not (wrong & certain).any()
    np.testing.assert_array_equal(combined.dq, average.dq)


@pytest.mark.slow
@pytest.mark.xfail(reason="jwst 3.0.0 puts what overlaps into the first rows and columns")
@pytest.mark.parametrize("integrations", [(), (4,)], ids=["rate", "rateints"])
def test_background_that_begins_inside_is_put_where_it_belongs(step_of_subarray, integrations):
    """A background that begins within the science exposure is shifted by the step."""
    combined, backgrounds = step_of_subarray(integrations, [(513, 151, 100, 100)])
    average = average_backgrounds(backgrounds, 2.0)
    assert not different(combined.data, average.data, average.rounding).any()
