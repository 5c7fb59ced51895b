"""Reference files say what they are, of which pixels, and what their flags mean."""

import numpy as np
import pytest
from asdf.exceptions import ValidationError
from stdatamodels.jwst.datamodels import dqflags

from miri_background.instrument import throughput
from miri_background.instrument.readout import subarrays
from miri_background.references.metadata import detector_model, flags, new_model, set_pixel_area

ARCSEC_PER_RADIAN = 180 * 3600 / np.pi


@pytest.mark.parametrize("name", ["FULL", "BRIGHTSKY", "SUB256"])
def test_subarray_is_where_it_is_read(name):
    """Corner, counted from 1, and size are those that an exposure has."""
    read = subarrays()[name]
    with detector_model("GainModel", "gain", name) as model:
        found = model.meta.subarray
        corner, size = (found.xstart, found.ystart), (found.ysize, found.xsize)
        assert (found.name, corner, size) == (
            name,
            (read.x.start + 1, read.y.start + 1),
            read.shape,
        )


def test_rows_are_read_along_x():
    """Fast and slow axis are those of the imager."""
    with detector_model("GainModel", "gain") as model:
        assert (model.meta.subarray.fastaxis, model.meta.subarray.slowaxis) == (1, 2)


def test_reference_says_that_it_is_simulated():
    """No reference can be taken for a flight one."""
    with new_model("GainModel", "gain") as model:
        assert model.meta.pedigree == "SIMULATION"


def test_reference_says_what_it_is():
    """The type is in the header, in capitals as CRDS has it."""
    with new_model("GainModel", "gain") as model:
        assert model.meta.reftype == "GAIN"


def test_what_the_schema_refuses_is_an_error():
    """Wrong content is not written with a warning."""
    with (
        new_model("GainModel", "gain") as model,
        pytest.raises(ValidationError, match="'NO SUCH DETECTOR' is not one of"),
    ):
        model.meta.instrument.detector = "NO SUCH DETECTOR"


def test_pixel_may_have_several_flags():
    """Flags are bits of one number."""
    dq, _ = flags(DO_NOT_USE=np.array([True, True, False]), HOT=np.array([False, True, False]))
    both = dqflags.pixel["DO_NOT_USE"] | dqflags.pixel["HOT"]
    assert dq.tolist() == [dqflags.pixel["DO_NOT_USE"], both, 0]


def test_flags_are_defined():
    """The table translates each bit to the pipeline's name."""
    _, definitions = flags(HOT=np.array([True]), DEAD=np.array([False]))
    found = {row["NAME"].decode(): (1 << row["BIT"], row["VALUE"]) for row in definitions}
    assert found == {name: (dqflags.pixel[name],) * 2 for name in ("HOT", "DEAD")}


def test_nominal_pixel_area_has_both_units():
    """Steradian and square arcsecond are of the same pixel."""
    with new_model("PixelAreaModel", "area") as model:
        set_pixel_area(model)
        area = model.meta.photometry
        assert area.pixelarea_steradians == throughput.PIXEL_SOLID_ANGLE
        assert area.pixelarea_arcsecsq == pytest.approx(
            throughput.PIXEL_SOLID_ANGLE * ARCSEC_PER_RADIAN**2, rel=1e-12
        )
