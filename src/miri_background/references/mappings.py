"""The rules by which CRDS selects the synthetic references: pmap, imap and rmaps."""

from pathlib import Path

from packaging.version import Version

__all__ = [
    "CONTEXT",
    "CONTEXTS",
    "INTERFERENCE_KEYS",
    "MATCH_KEYS",
    "OLDER_CONTEXT",
    "OLDER_SERIAL",
    "SERIAL",
    "UNAVAILABLE_TYPES",
    "USE_AFTER",
    "context_for",
    "reference_name",
    "write_mappings",
]

# Far above the serials that the operational server has reached: a product that
# names this context cannot be taken for one that was made with flight references.
SERIAL = 9001
CONTEXT = f"jwst_{SERIAL}.pmap"

# The same but for rscd, whose table builds before jwst 2.0 know with a column less.
OLDER_SERIAL = 9000
OLDER_CONTEXT = f"jwst_{OLDER_SERIAL}.pmap"
CONTEXTS = (CONTEXT, OLDER_CONTEXT)
_FIRST_OF_NEWER = Version("2.0.0.dev0")

# Before the first science exposure, so that any simulated date is covered.
USE_AFTER = ("2022-01-01", "00:00:00")

_DETECTOR = "META.INSTRUMENT.DETECTOR"
_FILTER = "META.INSTRUMENT.FILTER"
_READOUT = (_DETECTOR, "META.EXPOSURE.READPATT", "META.SUBARRAY.NAME")

# Header values that select a file of each type.  A readout pattern or filter that
# there is no reference for is then refused by CRDS instead of calibrated wrongly.
MATCH_KEYS = {
    "mask": (_DETECTOR,),
    "saturation": (_DETECTOR,),
    "reset": _READOUT,
    "linearity": (_DETECTOR,),
    "rscd": (_DETECTOR,),
    "dark": _READOUT,
    "gain": (_DETECTOR,),
    "readnoise": (_DETECTOR, "META.EXPOSURE.READPATT"),
    "area": (_DETECTOR,),
    "photom": (_DETECTOR,),
    "flat": (_DETECTOR, _FILTER),
    "distortion": (_DETECTOR,),
    "filteroffset": (_DETECTOR,),
    "apcorr": ("META.EXPOSURE.TYPE",),
    "abvegaoffset": (_DETECTOR,),
}

# The same of types that there are files of only where ramps have interference.
INTERFERENCE_KEYS = {"emicorr": (_DETECTOR,), "pars-emicorrstep": ("META.EXPOSURE.TYPE",)}

# Types that the pipelines ask for, or can be set to, and that MIRI imaging does not
# use.  One that is absent, rather than N/A, ends a pipeline while it looks ahead for
# its references (parameter references: an error in the log).  With interference, there are files
# of emicorr and its parameters.  Builds such as 1.12.5 read drizpars, later ones do not; the last
# one is the name of bkg before jwst 1.20.
# fmt: off
_UNUSED_TYPES = (
    "bkg", "camera", "chromcorr", "collimator", "dflat", "disperser", "drizpars", "emicorr",
    "fflat", "fore", "fpa", "ifufore", "ifupost", "ifuslicer", "ipc", "msa", "ote", "pastasoss",
    "persat", "pictureframe", "refpix", "regions", "sflat", "sirskernel", "specwcs",
    "superbias", "trapdensity", "trappars", "wavelengthrange", "wfssbkg",
)
_DEFAULT_STEPS = (
    "assignmtwcsstep", "assignwcsstep", "backgroundstep", "chargemigrationstep",
    "cleanflickernoisestep", "darkcurrentstep", "detector1pipeline", "dqinitstep",
    "emicorrstep", "firstframestep", "flatfieldstep", "gainscalestep", "groupscalestep",
    "image2pipeline", "image3pipeline", "ipcstep", "jumpstep", "lastframestep", "linearitystep",
    "outlierdetectionstep", "persistencestep", "photomstep", "pictureframestep", "rampfitstep",
    "refpixstep", "resamplestep", "resetstep", "rscdstep", "saturationstep", "skymatchstep",
    "sourcecatalogstep", "superbiasstep", "tweakregstep",
)
# fmt: on
UNAVAILABLE_TYPES = (*_UNUSED_TYPES, *(f"pars-{step}" for step in _DEFAULT_STEPS))

_OTHER_INSTRUMENTS = ("FGS", "NIRCAM", "NIRISS", "NIRSPEC", "SYSTEM")


def context_for(jwst):
    """Return the name of the context that a version of jwst reads.

    Parameters
    ----------
    jwst : str
        Such as "1.20.2".

    Returns
    -------
    str
        `CONTEXT`, or `OLDER_CONTEXT`.
    """
    return CONTEXT if Version(jwst) >= _FIRST_OF_NEWER else OLDER_CONTEXT


def reference_name(reftype, extension, serial=SERIAL):
    """Return the CRDS name of a reference file or rmap of the imager."""
    return f"jwst_miri_{reftype}_{serial}.{extension}"


def _header(name, mapping, **extra):
    """Return the header that every mapping has; its checksum is set on writing."""
    return {
        # CRDS looks for the ancestor of a mapping unless it says "generated".
        "derived_from": "generated with the synthetic references",
        "mapping": mapping,
        "name": name,
        "observatory": "JWST",
        "sha1sum": "",
        **extra,
    }


def _text(header, selector):
    """Return the text of a mapping."""
    return f"header = {header!r}\n\nselector = {selector}\n"


def write_mappings(directory, selections, serial=SERIAL):
    """Write a context and everything that it refers to.

    Parameters
    ----------
    directory : path-like
        Where to write, an existing directory.
    selections : dict
        For each reference type in `MATCH_KEYS`, and any in `INTERFERENCE_KEYS`, a dictionary:
        tuple of header values, in the order of the match keys, to name of the reference file.
    serial : int, optional
        Number of the context and its mappings.
    """
    # Imported here: CRDS takes a second to import and reads its environment then,
    # which a caller may still want to set.
    from crds.core import rmap

    directory = Path(directory)
    when = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")
    imager_types = dict.fromkeys((name.upper() for name in UNAVAILABLE_TYPES), "N/A")
    context_name, instrument_name = f"jwst_{serial}.pmap", f"jwst_miri_{serial}.imap"
    keys = MATCH_KEYS | INTERFERENCE_KEYS
    mappings = []
    for reftype, files in selections.items():
        name = imager_types[reftype.upper()] = reference_name(reftype, "rmap", serial)
        header = _header(
            name,
            "REFERENCE",
            instrument="MIRI",
            filekind=reftype.upper(),
            parkey=(keys[reftype], when),
        )
        rules = ", ".join(
            f"{match!r}: UseAfter({{{' '.join(USE_AFTER)!r}: {file!r}}})"
            for match, file in files.items()
        )
        mappings.append((rmap.ReferenceMapping, name, _text(header, f"Match({{{rules}}})")))

    header = _header(instrument_name, "INSTRUMENT", instrument="MIRI", parkey=("REFTYPE",))
    mappings.append((rmap.InstrumentContext, instrument_name, _text(header, imager_types)))

    instruments = {"MIRI": instrument_name, **dict.fromkeys(_OTHER_INSTRUMENTS, "N/A")}
    header = _header(context_name, "PIPELINE", parkey=("META.INSTRUMENT.NAME",))
    mappings.append((rmap.PipelineContext, context_name, _text(header, instruments)))

    for kind, name, text in mappings:
        # CRDS's own writer formats the text and computes the checksum that its
        # reader verifies.
        kind.from_string(text, name, ignore_checksum=True).write(str(directory / name))
