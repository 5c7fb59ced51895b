"""Examines the references of any CRDS cache before a run starts.

What the installed calwebb_detector1, calwebb_image2 and source catalogue ask CRDS for
is looked up by CRDS's own rules, opened, and compared with what is plausible.
"""

from dataclasses import dataclass

from miri_background.outcomes import Outcome
from miri_background.references.cache import require_as_written
from miri_background.references.choice import use_references
from miri_background.references.needs import (
    AbsentReference,
    DamagedReference,
    ImplausibleReference,
    Needs,
    NotCovered,
)
from miri_background.references.plausible import CHECKS, check_readable
from miri_background.references.selection import NO_FILE, Selection, one_line, silence
from miri_background.tables import text_table

__all__ = [
    "INDISPENSABLE",
    "NOT_APPLICABLE",
    "PLAUSIBLE",
    "UNFIT",
    "Finding",
    "examine",
    "examine_choice",
    "outcome",
    "reference_types",
    "report",
]

PLAUSIBLE, NOT_APPLICABLE = "plausible", "not applicable"
# What keeps a run from being judged, and why: the file is not there, it is not whole, its values
# cannot be, or the context has none.
UNFIT = tuple(
    each.status for each in (AbsentReference, DamagedReference, ImplausibleReference, NotCovered)
)
_SYMBOLS = {PLAUSIBLE: "✓", NOT_APPLICABLE: "–", **dict.fromkeys(UNFIT, "✗")}


# What happens where the rules say N/A, for the types that a run cannot do without;
# other steps are skipped.
INDISPENSABLE = {
    "gain": "jump and ramp_fit end calwebb_detector1",
    "readnoise": "jump and ramp_fit end calwebb_detector1",
    "distortion": "assign_wcs ends calwebb_image2",
    "flat": "flat_field is skipped, and the products keep the pixels' response",
    "photom": "photom is skipped, and the products stay in DN/s",
    "apcorr": "source_catalog ends calwebb_image3",
    "abvegaoffset": "source_catalog ends calwebb_image3",
}

_CATALOGUE = "source_catalog"


@dataclass(frozen=True)
class Finding:
    """What the examination of one reference type found.

    Parameters
    ----------
    reftype : str
        CRDS reference type, lower case.
    file : str
        Name of the file that CRDS selects, or "N/A".
    status : str
        "plausible"; "not applicable" where a step does without; one of `UNFIT` for what would
        end or spoil a run.
    sentence : str
        The key numbers, or what is wrong, where, and what to do.
    """

    reftype: str
    file: str
    status: str
    sentence: str


def _examined(reftype, selection, check, without):
    """Return the finding on one reference type; errors of readers become findings.

    Parameters
    ----------
    reftype : str
        CRDS reference type.
    selection : Selection
        CRDS's choice.
    check : callable
        From the path of the file to a sentence.
    without : callable
        From nothing to the status and sentence where the rules say N/A.
    """
    name = NO_FILE
    try:
        name = selection.name(reftype)
        if name == NO_FILE:
            return Finding(reftype, name, *without())
        path = selection.path(reftype, name)
        sentence = check(path)
        require_as_written(path)
        return Finding(reftype, name, PLAUSIBLE, sentence)
    except ImplausibleReference as error:
        return Finding(reftype, name, error.status, str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - readers raise errors of any class
        unfit = (
            NotCovered(f"CRDS refuses to select one ({one_line(error)})", "choose another context")
            if name == NO_FILE
            else DamagedReference(
                f"it cannot be read ({one_line(error)})", "restore it from a whole copy"
            )
        )
        return Finding(reftype, name, unfit.status, str(unfit))


def _stages():
    """Return the installed pipelines, each with the classes of its steps by name."""
    # Imported here: it takes seconds.
    from jwst.pipeline import Detector1Pipeline, Image2Pipeline
    from jwst.source_catalog import SourceCatalogStep

    return [
        (Detector1Pipeline, Detector1Pipeline.step_defs),
        (Image2Pipeline, Image2Pipeline.step_defs),
        (None, {_CATALOGUE: SourceCatalogStep}),
    ]


def _parameters(path, step):
    """Return the parameters for a step that a reference holds, checked as the pipeline does."""
    from stpipe import config_parser

    settings = config_parser.load_config_file(str(path))
    owner = settings.get("class", "").split(".")[-1]
    if owner != step.__name__:
        raise ImplausibleReference(
            f"its parameters are of {owner or 'no step'}, not of {step.__name__}"
        )
    for name in ("class", "name", "config_file"):
        settings.pop(name, None)
    given = settings.dict()
    try:
        config_parser.validate(settings, step.load_spec_file(), allow_missing=True)
    except config_parser.ValidationError as error:
        raise ImplausibleReference(
            f"{step.__name__} does not accept its parameters ({one_line(error)})"
        ) from error
    # Validation has added what was not given.
    return _converted(settings, given)


def _converted(settings, given):
    """Return the validated values of the parameters that were given, step by step."""
    return {
        name: _converted(settings[name], value) if isinstance(value, dict) else settings[name]
        for name, value in given.items()
    }


def _examine_parameters(stages, selection):
    """Return the findings on parameter references, and the parameters by name of the step."""
    findings, settings = [], {}

    def without():
        return NOT_APPLICABLE, "the step's own parameters are used"

    for pipeline, steps in stages:
        of_pipeline = {}
        for name, step in (*steps.items(), (None, pipeline)):
            if step is None:
                continue
            given = settings.setdefault(name, {}) if name else of_pipeline

            def check(path, step=step, given=given):
                given |= _parameters(path, step)
                return f"sets {', '.join(given) or 'nothing'}"

            finding = _examined(step.get_config_reftype(), selection, check, without)
            if finding.status in UNFIT and finding.file == NO_FILE:
                # The pipeline continues, with an error in its log.
                why = finding.sentence.rpartition(": ")[0]
                sentence = f"{why}; the step's own parameters are used"
                finding = Finding(finding.reftype, NO_FILE, NOT_APPLICABLE, sentence)
            findings.append(finding)
        # What is set for the pipeline goes before what is set for its steps.
        for name, given in of_pipeline.get("steps", {}).items():
            settings[name] |= given
    return findings, settings


def _requested(stages, settings):
    """Return the reference types that will be asked for, each with the names of its steps."""
    requested = {}
    for _, steps in stages:
        for name, step in steps.items():
            if not settings[name].get("skip", step().skip):
                for reftype in step.reference_file_types:
                    requested.setdefault(reftype, []).append(name)
    return requested


def reference_types(selection, absent):
    """Return the reference types that a run will ask for, less those of parameters.

    Parameters
    ----------
    selection : Selection
        CRDS's choice.
    absent : dict of str to str
        Receives the types of parameter references that are not in the cache, by file name.

    Returns
    -------
    list of str
        In the order of the steps.
    """
    stages = _stages()[:-1]  # a run makes no catalogue
    findings, settings = _examine_parameters(stages, selection)
    absent.update(
        {each.file: each.reftype for each in findings if each.status == AbsentReference.status}
    )
    return list(_requested(stages, settings))


def _energies(stages, settings):
    """Return the encircled energies, per cent, at which the source catalogue measures."""
    step = stages[-1][1][_CATALOGUE]()
    names = ("aperture_ee1", "aperture_ee2", "aperture_ee3")
    return tuple(int(settings[_CATALOGUE].get(name, getattr(step, name))) for name in names)


def examine(observation, context=None):
    """Examine the references that a run would ask CRDS for.

    No step of the pipeline is run.  The cache is the one that this process's
    environment points to; see `miri_background.references.choice.use_references`.

    Parameters
    ----------
    observation : Observation
        The observation whose exposures would be calibrated.
    context : str, optional
        CRDS context; by default the environment's.

    Returns
    -------
    list of Finding
        One for each reference type, parameter references last.

    Raises
    ------
    CannotJudge
        If CRDS finds no context, or the geometry of the subarray is not known here.
    """
    needs = Needs(observation)
    with silence():
        selection = Selection(observation, context)
        stages = _stages()
        of_steps, settings = _examine_parameters(stages, selection)
        needs.energies = _energies(stages, settings)

        def examined(reftype, steps):
            def check(path):
                return CHECKS.get(reftype, check_readable)(path, needs)

            def without():
                if reftype in INDISPENSABLE:
                    return (
                        NotCovered.status,
                        f"without it {INDISPENSABLE[reftype]}: choose a context that has it",
                    )
                needs.area &= reftype != "area"
                return NOT_APPLICABLE, f"not used by {', '.join(steps)}"

            return _examined(reftype, selection, check, without)

        requested = _requested(stages, settings)
        # Photom takes the pixel's solid angle from the area, if there is one.
        first = sorted(requested, key=lambda reftype: reftype != "area")
        found = {reftype: examined(reftype, requested[reftype]) for reftype in first}
    return [found[reftype] for reftype in requested] + of_steps


def examine_choice(observation, calibration, mirisim_command="mirisim"):
    """Examine the references that a run would use.

    Parameters
    ----------
    observation : Observation
        The observation whose exposures would be calibrated.
    calibration : Calibration
        Says where references come from.
    mirisim_command : str, optional
        How MIRISim is called, if the observation is simulated by it.

    Returns
    -------
    chosen : ReferenceChoice
        The cache.
    findings : list of Finding
        One for each reference file, of every way in which the exposures are read.

    Raises
    ------
    CannotJudge
        If the cache cannot be used at all.
    """
    chosen = use_references(observation, calibration, None, mirisim_command)
    findings = {}
    for readout in observation.readouts:
        for each in examine(observation.read_as(readout), calibration.crds_context or None):
            findings[each] = None
    return chosen, list(findings)


def outcome(findings):
    """Return passed if no finding is unfit, else could not judge."""
    unfit = any(finding.status in UNFIT for finding in findings)
    return Outcome.CANNOT_JUDGE if unfit else Outcome.PASSED


def report(findings):
    """Return findings as lines of text for a terminal, one for each reference type.

    Parameters
    ----------
    findings : list of Finding
        As `examine` returns them.

    Returns
    -------
    str
        A table, and a last line that counts what is unfit, by kinds.
    """
    rows = [
        (_SYMBOLS[each.status], each.status, each.reftype, each.file, each.sentence)
        for each in findings
    ]
    counts = []
    for status in UNFIT:
        names = [each.reftype for each in findings if each.status == status]
        if names:
            counts.append(f"{len(names)} of {len(findings)} types {status}: {', '.join(names)}")
    count = "\n".join(counts) or f"none of {len(findings)} types is unfit"
    table = text_table(("", "status", "type", "file", "finding"), rows)
    return f"{table}\n\n{count}"
