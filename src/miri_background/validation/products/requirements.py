"""What a rate or a result has to have, so that it can be judged."""

from miri_background.instrument.readout import subarrays
from miri_background.outcomes import CannotJudge
from miri_background.validation.products.clipping_choice import is_number

__all__ = [
    "RATES",
    "require_keywords",
    "require_matching",
    "require_same_kind",
    "require_same_shape",
    "require_shape",
]
RATES = {2: "rate", 3: "rateints"}

# Keywords of a rate that have few legal values: calwebb_image2 takes exposures of these types
# (jwst documentation, "Image2Pipeline") ...
_FIXED = {
    "INSTRUME": ("MIRI",),
    "EXP_TYPE": (
        *("MIR_IMAGE", "MIR_TACQ", "MIR_TACONFIRM"),
        *("MIR_LYOT", "MIR_4QPM", "MIR_CORONCAL"),
    ),
}

# ... those that name something, and the least value of those that are numbers.
_WINDOW = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
_NAMES = ("FILTER", "READPATT", "SUBARRAY")
_LEAST = {
    "SUBSTRT1": 1,
    "SUBSTRT2": 1,
    "SUBSIZE1": 1,
    "SUBSIZE2": 1,
    "NGROUPS": 3,  # the last is left out, and a slope needs two
    "NINTS": 1,
}
_MOST = 65_535  # of any of them: as many as a ramp can have groups or integrations
_LONGEST_FRAME = 1000.0  # s: the whole array takes 24 s with SLOWR1


def require_keywords(image):
    """Refuse a rate without the keywords that are needed, or of another instrument or mode."""
    header, path = image.header, image.path
    for name in (*_FIXED, *_NAMES, *_LEAST, "TFRAME"):
        if header.get(name) is None:
            msg = f"{path} has no keyword {name}, or no value of it, which is needed."
            raise CannotJudge(msg)
    for name, values in _FIXED.items():
        if header[name] not in values:
            msg = f"{path} has {name} = {header[name]!r}: only {values[0]} exposures are judged."
            raise CannotJudge(msg)
    for name in _NAMES:
        if not isinstance(header[name], str):
            msg = f"{path} has {name} = {header[name]!r}, which is not a name."
            raise CannotJudge(msg)
    for name, least in _LEAST.items():
        if not isinstance(header[name], int) or not least <= header[name] <= _MOST:
            msg = (
                f"{path} has {name} = {header[name]!r}: a whole number from {least} to {_MOST} is "
                "needed."
            )
            raise CannotJudge(msg)
    if not is_number(header["TFRAME"]) or not 0 < header["TFRAME"] < _LONGEST_FRAME:
        msg = f"{path} has TFRAME = {header['TFRAME']!r}: a time above 0 s is needed."
        raise CannotJudge(msg)


def require_shape(image):
    """Refuse a rate that is not of the size of its subarray, or not of the place that is known."""
    header, path = image.header, image.path
    name, size = header["SUBARRAY"], (header["SUBSIZE2"], header["SUBSIZE1"])
    read = subarrays().get(name)
    known = (read.x.start + 1, read.y.start + 1, read.shape[1], read.shape[0]) if read else None
    for keyword, value in zip(_WINDOW, known or (), strict=False):
        if header[keyword] != value:
            msg = (
                f"{path} has {keyword} = {header[keyword]}, and subarray {name} has {value}: "
                "make it anew."
            )
            raise CannotJudge(msg)
    if len(image.shape) not in RATES or image.shape[-2:] != size or not all(image.shape):
        msg = (
            f"{path} has arrays of shape {image.shape}, and subarray {name} has "
            f"{size[0]} rows of {size[1]} columns: make it anew."
        )
        raise CannotJudge(msg)


def require_same_shape(image, shape, rate):
    """Refuse a result of another shape than its rate."""
    if image.shape != shape:
        msg = (
            f"{image.path} has arrays of shape {image.shape}, and {shape} belongs to "
            f"{rate.path}: make it anew."
        )
        raise CannotJudge(msg)


def require_matching(image, first, same=("FILTER",)):
    """Refuse a member that does not belong to the first science exposure.

    Parameters
    ----------
    image, first : Image
        The member, and the first science exposure.
    same : tuple of str, optional
        Keywords in which both have to agree.
    """
    for name in same:
        values = [each.header[name] for each in (image, first)]
        if values[0] == values[1]:
            continue
        msg = (
            f"{image.path} has {name} = {values[0]} and {first.path} {values[1]}: "
            "they do not belong together, correct the association."
        )
        raise CannotJudge(msg)


def require_same_kind(image, first):
    """Refuse a science exposure that is a rate where the first has integrations, or the reverse."""
    kinds = [RATES[len(each.shape)] for each in (image, first)]
    if kinds[0] != kinds[1]:
        msg = (
            f"{image.path} is a {kinds[0]} file and {first.path} a {kinds[1]} file: "
            "they are not judged together, choose an association of each kind."
        )
        raise CannotJudge(msg)
