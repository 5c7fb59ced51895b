"""The doctor finds a synthetic cache plausible, and names what would end or spoil a run."""

import os
import shutil
import tracemalloc
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Shift
from astropy.time import Time
from stdatamodels.jwst.datamodels import ImageModel, Level1bModel

from miri_background.calibration_choice import Calibration
from miri_background.instrument import detector
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge, Outcome
from miri_background.references import doctor, plausible
from miri_background.references.any_cache import crds_environment
from miri_background.references.cache import synthetic_cache
from miri_background.references.doctor import NOT_APPLICABLE, PLAUSIBLE, UNFIT, Finding
from miri_background.references.mappings import CONTEXT, MATCH_KEYS
from miri_background.references.needs import ImplausibleReference, Needs
from miri_background.references.selection import crds_parameters
from miri_background.simulation import level1b
from miri_background.simulation.visit import visit_metadata

pytestmark = pytest.mark.slow

# The smallest cache there is, which other test files have, too; with it the two ways to read
# that tests of the rules write.
OBSERVATION = Observation(subarray="SUB256", groups=8)
MIXED = Observation(
    subarray="SUB256",
    groups=8,
    background_subarray="BRIGHTSKY",
    background_groups=(9,),
    background_integrations=(2,),
)
MAPPINGS = Path("mappings", "jwst")
REFERENCES = Path("references", "jwst", "miri")
IN_ASDF = ("distortion", "filteroffset", "abvegaoffset")


@pytest.fixture(scope="module")
def whole_cache(synthetic_caches):
    """Return a synthetic cache, not to be changed."""
    return synthetic_cache(synthetic_caches, OBSERVATION)


@pytest.fixture
def own_cache(whole_cache, tmp_path):
    """Return a copy of the cache in which a test may replace files; files are linked.

    Like any other than the suite's own, it has no checksums of its references.
    """
    without = shutil.ignore_patterns("manifest.json")
    target = tmp_path / whole_cache.name
    return shutil.copytree(whole_cache, target, copy_function=os.link, ignore=without)


@pytest.fixture(scope="module")
def known():
    """Return what was found in files before, by type, file and observation."""
    return {}


@pytest.fixture
def _looked_at_once(monkeypatch, known):
    """Look once at a file that is linked into many caches: this saves most of the time."""

    def once(reftype, check):
        def remembered(path, needs):
            status = path.stat()
            key = (reftype, status.st_ino, status.st_mtime_ns, needs.observation.key)
            if key not in known:
                known[key] = check(path, needs)
            return known[key]

        return remembered

    # The level of saturation goes from one check to the other; area decides about photom.
    for reftype in plausible.CHECKS.keys() - {"saturation", "linearity", "photom"}:
        check = plausible.CHECKS[reftype]
        monkeypatch.setitem(plausible.CHECKS, reftype, once(reftype, check))


@pytest.fixture
def examine(monkeypatch, _looked_at_once):
    """Return a function that examines a cache as a process of its own would."""
    from crds.core import utils

    for name in ("CRDS_CONTEXT", "CRDS_MODE", "CRDS_READONLY_CACHE", "CRDS_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)

    def examined(cache, observation=OBSERVATION, context=CONTEXT):
        for name, value in crds_environment(cache, context).items():
            monkeypatch.setenv(name, value)
        # CRDS remembers rules by their names, and these are the same in each cache.
        utils.clear_function_caches()
        return doctor.examine(observation)

    yield examined
    utils.clear_function_caches()


@pytest.fixture
def unfit(examine):
    """Return a function that returns the sentence on the only unfit type in a cache."""

    def sentence(cache, reftype, observation=OBSERVATION, status="implausible"):
        found = [each for each in examine(cache, observation) if each.status in UNFIT]
        assert [(each.reftype, each.status) for each in found] == [(reftype, status)]
        return found[0].sentence

    return sentence


def observed(**changed):
    """Return the observation with other parameters."""
    return Observation(**OBSERVATION.changes() | changed)


def path_of(cache, reftype):
    """Return the path of a reference."""
    extension = "asdf" if reftype in IN_ASDF else "fits"
    return cache / REFERENCES / f"jwst_miri_{reftype}_9001.{extension}"


def change_reference(cache, reftype, change):
    """Replace a reference by one to which something was done, breaking its link."""
    path = path_of(cache, reftype)
    aside = path.with_suffix(".aside")
    if reftype in IN_ASDF:
        with asdf.open(path, lazy_load=False) as tree:
            change(tree.tree)
            asdf.AsdfFile(tree.tree).write_to(aside)
    else:
        with fits.open(path, memmap=False) as hdus:
            change(hdus)
            hdus.writeto(aside)
    aside.replace(path)


def change_mapping(cache, name, old, new):
    """Replace text in a mapping, and its checksum with it."""
    from crds.core import rmap

    path = cache / MAPPINGS / name
    text = path.read_text()
    assert old in text
    path.unlink()
    kind = rmap.InstrumentContext if name.endswith(".imap") else rmap.ReferenceMapping
    kind.from_string(text.replace(old, new), name, ignore_checksum=True).write(str(path))


def add_parameters(cache, step, text):
    """Add a parameter reference of a step, its parameters being YAML."""
    from crds.core import rmap

    reftype = f"pars-{step.__name__.lower()}"
    (cache / REFERENCES / f"jwst_miri_{reftype}_9001.asdf").write_text(
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"
        "--- !core/asdf-1.1.0\n"
        f"class: {step.__module__}.{step.__name__}\nname: {step.__name__}\n"
        f"parameters: {text}\n...\n"
    )
    rules = (cache / MAPPINGS / "jwst_miri_gain_9001.rmap").read_text()
    rules = rules.replace("gain", reftype).replace("GAIN", reftype.upper())
    rules = rules.replace(".fits", ".asdf")
    name = f"jwst_miri_{reftype}_9001.rmap"
    mapping = rmap.ReferenceMapping.from_string(rules, name, ignore_checksum=True)
    mapping.write(str(cache / MAPPINGS / name))
    unused = f"'{reftype.upper()}' : 'N/A'"
    change_mapping(cache, "jwst_miri_9001.imap", unused, unused.replace("N/A", name))


def fill(extension, value, index=...):
    """Return a change that sets pixels of an image to one value."""

    def change(hdus):
        hdus[extension].data[index] = value

    return change


def cut(extension, index):
    """Return a change that leaves only part of an image."""

    def change(hdus):
        hdus[extension].data = hdus[extension].data[index].copy()

    return change


def transpose(hdus):
    """Turn rows of an image into columns."""
    hdus["SCI"].data = hdus["SCI"].data.T.copy()


def column(extension, name, value):
    """Return a change that sets a column of a table to one value, or to its reverse."""

    def change(hdus):
        table = hdus[extension].data
        table[name][:] = table[name][::-1].copy() if value is None else value

    return change


def keyword(name, value):
    """Return a change that sets a keyword of the primary header, or removes it."""

    def change(hdus):
        if value is None:
            del hdus[0].header[name]
        else:
            hdus[0].header[name] = value

    return change


def time_dependence(amplitude):
    """Return a change that adds a loss of throughput with time."""

    def change(hdus):
        # As in flight references, a row for each of the other table's.
        table = hdus["PHOTOM"].data
        pairs = zip(table["filter"], table["subarray"], strict=True)
        rows = [(*pair, amplitude, 59_000.0, 200.0, 1.0) for pair in pairs]
        kinds = [("filter", "S12"), ("subarray", "S17")]
        kinds += [(name, "f4") for name in ("amplitude", "t0", "tau", "const")]
        table = fits.BinTableHDU(np.array(rows, dtype=kinds), name="TIMECOEFF_EXPONENTIAL")
        hdus.append(table)

    return change


def entry(name, value):
    """Return a change that sets a property of the entry of the filter in use."""

    def change(tree):
        (mine,) = [each for each in tree["filters"] if each["filter"] == OBSERVATION.filter]
        mine[name] = value

    return change


def no_vega(tree):
    """Make the offsets NaN."""
    tree["abvega_offset"]["abvega_offset"][:] = np.nan


def shifted(tree):
    """Move the array by 1000 pixels; the inverse follows."""
    whole = tree["model"]
    moved = Shift(1000) & Shift(0) | whole
    moved.inverse = whole.inverse | Shift(-1000) & Shift(0)
    tree["model"] = moved


def without_inverse(tree):
    """Take the inverse away."""
    del tree["model"].inverse


def inexact_inverse(tree):
    """Make the inverse miss by a pixel."""
    tree["model"].inverse = tree["model"].inverse | Shift(1) & Shift(0)


BROKEN = {
    "gain NaN": ("gain", fill("SCI", np.nan), "100 % of the pixels are not finite"),
    "gain negative": ("gain", fill("SCI", -4.0), "outside 1 to 10 e-/DN, median -4"),
    "gain transposed": ("gain", transpose, "has 1024 x 1032 pixels and its header says 1032 x"),
    "gain small": ("gain", cut("SCI", np.s_[:512, :512]), "has 512 x 512 pixels"),
    "gain without image": ("gain", lambda hdus: hdus.pop("SCI"), "has no image SCI"),
    "read noise 0": ("readnoise", fill("SCI", 0.0), "outside 0.5 to 200 DN, median 0"),
    "saturation 0": ("saturation", fill("SCI", 0.0), "outside 10000 to 66000 DN"),
    "linearity falling": (
        "linearity",
        fill("COEFFS", -2e-5, 2),
        "does not always increase up to saturation, first at x = 412, y = 50",
    ),
    "linearity 0": ("linearity", fill("COEFFS", 0.0, 1), "outside 0.5 to 1.5, median 0"),
    "linearity NaN": ("linearity", fill("COEFFS", np.nan, 2), "not finite"),
    "dark short": ("dark", cut("SCI", np.s_[:, :7]), "has 7 groups and the observation 8"),
    "dark slow": ("dark", keyword("READPATT", "SLOWR1"), "is of readout pattern SLOWR1"),
    "dark averaged": ("dark", keyword("NFRAMES", 4), "would not subtract it"),
    "dark NaN": ("dark", fill("SCI", np.nan, np.s_[:, 5]), "not finite in integration 1, group 6"),
    "dark bright": ("dark", fill("SCI", 6e4, np.s_[:, 7]), "outside -100 to 100 DN/s"),
    "reset NaN": ("reset", fill("SCI", np.nan), "not finite in integration 1, group 1"),
    "reset huge": ("reset", fill("SCI", 1e5), "outside -5000 to 5000 DN"),
    "reset groups": ("reset", keyword("NGROUPS", 5), "NINTS, NGROUPS are 1, 5"),
    "rscd skips all": (
        "rscd",
        column("RSCD_GROUP_SKIP", "group_skip1", 8),
        "skips 8 of 8 groups",
    ),
    "rscd without row": (
        "rscd",
        column("RSCD_GROUP_SKIP", "readpatt", "SLOWR1"),
        "no row for SUB256 in FASTR1",
    ),
    "mask full": ("mask", fill("DQ", 1), "100 % of the field's pixels are DO_NOT_USE"),
    "flat 0": ("flat", fill("SCI", 0.0), "only 0 % of the field"),
    "flat 100": ("flat", fill("SCI", 100.0), "median is 100"),
    "flat negative": ("flat", fill("SCI", -1.0), "outside 0 to inf"),
    "photom without filter": (
        "photom",
        column("PHOTOM", "filter", "F560W"),
        "no row for F770W and SUB256 or GENERIC",
    ),
    "photom 0": ("photom", column("PHOTOM", "photmjsr", 0.0), "photmjsr for F770W is 0"),
    "photom loss NaN": ("photom", time_dependence(np.nan), "timecoeff_exponential is not finite"),
    "area 2": ("area", fill("SCI", 2.0), "outside 0.8 to 1.2, median 2"),
    "area without unit": ("area", keyword("PIXAR_SR", None), "has no PIXAR_SR"),
    "area in degrees": ("area", keyword("PIXAR_SR", 9.5e-10), "outside 2e-13 to 4e-13 sr"),
    "distortion shifted": ("distortion", shifted, "more than 5 arcsec"),
    "distortion one way": ("distortion", without_inverse, "has no inverse"),
    "distortion inexact": ("distortion", inexact_inverse, "inverse misses by up to 1"),
    "filter offset of another": ("filteroffset", entry("filter", "F560W"), "no entry for F770W"),
    "filter offset large": ("filteroffset", entry("row_offset", 50.0), "F770W is 0, 50 pixel"),
    "apcorr radii fall": ("apcorr", column("APCORR", "radius", None), "radii for F770W"),
    "apcorr below 1": ("apcorr", column("APCORR", "apcorr", 0.5), "corrections for F770W"),
    "apcorr without sky": ("apcorr", column("APCORR", "skyout", 12.0), "annuli for F770W"),
    "apcorr without filter": ("apcorr", column("APCORR", "filter", "F560W"), "no row for F770W"),
    "Vega NaN": ("abvegaoffset", no_vega, "offset for F770W is nan mag"),
}


@pytest.fixture(scope="module")
def findings(whole_cache):
    """Return the findings on the whole synthetic cache, by type."""
    from crds.core import utils

    with pytest.MonkeyPatch.context() as patch:
        for name, value in crds_environment(whole_cache).items():
            patch.setenv(name, value)
        utils.clear_function_caches()
        found = {each.reftype: each for each in doctor.examine(OBSERVATION)}
        utils.clear_function_caches()
    return found


@pytest.mark.parametrize("reftype", MATCH_KEYS)
def test_synthetic_reference_is_well(findings, reftype):
    """What the suite writes is plausible, and the sentence has a number."""
    finding = findings[reftype]
    assert finding.status == PLAUSIBLE
    assert any(sign.isdigit() for sign in finding.sentence)


def test_nothing_else_is_applicable(findings):
    """What the suite does not write is not asked of it."""
    others = {each.status for name, each in findings.items() if name not in MATCH_KEYS}
    assert others == {NOT_APPLICABLE}


@pytest.mark.parametrize(("reftype", "change", "words"), BROKEN.values(), ids=list(BROKEN))
def test_broken_reference_is_found(own_cache, unfit, reftype, change, words):
    """What would end or spoil a run is named, and blamed on nothing else."""
    change_reference(own_cache, reftype, change)
    assert words in unfit(own_cache, reftype)


def test_loss_of_throughput_is_well(own_cache, examine):
    """A flight photom has one."""
    change_reference(own_cache, "photom", time_dependence(0.1))
    (finding,) = [each for each in examine(own_cache) if each.reftype == "photom"]
    assert finding.status == PLAUSIBLE


def test_few_bad_pixels_are_mentioned(own_cache, examine):
    """A row of NaN ends no run; the sentence tells of it."""
    change_reference(own_cache, "gain", fill("SCI", np.nan, 100))
    (finding,) = [each for each in examine(own_cache) if each.reftype == "gain"]
    assert (finding.status, "; 256 pixels outside 1 to 10 e-/DN" in finding.sentence) == (
        PLAUSIBLE,
        True,
    )


@pytest.mark.parametrize(
    ("reftype", "kept", "words"),
    [
        ("dark", 0.5, "ends after"),
        ("photom", 0.9, "ends after"),
        ("distortion", 0.5, "cannot be read"),
    ],
)
def test_truncated_reference_is_found(own_cache, unfit, reftype, kept, words):
    """A file cut short is found, whatever its format."""
    path = path_of(own_cache, reftype)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert words in unfit(own_cache, reftype, status="damaged")


@pytest.mark.parametrize("extension", ["DQ", "ERR"])
def test_file_cut_in_a_header_is_found(own_cache, unfit, extension):
    """A file whose pixels are whole, but not its extensions, is damaged too."""
    path = path_of(own_cache, "flat")
    with fits.open(path) as hdus:
        inside = hdus[extension].fileinfo()["hdrLoc"] + 1000
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:inside])
    assert "ends after" in unfit(own_cache, "flat", status="damaged")


def test_missing_reference_is_found(own_cache, unfit):
    """A file that the rules select and that is not there is named with its place."""
    path = path_of(own_cache, "readnoise")
    path.unlink()
    assert f"is not in the cache, at {path}: copy it there" in unfit(
        own_cache, "readnoise", status="absent"
    )


@pytest.mark.parametrize(
    ("reftype", "old", "new"),
    [("flat", "'F770W'", "'F560W'"), ("dark", "'FASTR1'", "'SLOWR1'")],
    ids=["filter", "readout pattern"],
)
def test_rules_that_select_nothing_are_found(own_cache, unfit, reftype, old, new):
    """An observation that the rules do not cover is refused with CRDS's reason."""
    change_mapping(own_cache, f"jwst_miri_{reftype}_9001.rmap", old, new)
    assert old.strip("'") in unfit(own_cache, reftype, status="not covered")


def test_unknown_type_is_found(own_cache, unfit):
    """A type that the context does not know ends the pipeline, even one that is not used."""
    change_mapping(own_cache, "jwst_miri_9001.imap", "'CAMERA' : 'N/A',", "")
    assert "Unknown reference type" in unfit(own_cache, "camera", status="not covered")


@pytest.mark.parametrize("reftype", ["gain", "photom"])
def test_rule_without_file_is_found(own_cache, unfit, reftype):
    """N/A is implausible where the pipeline cannot do without."""
    rules = f"'jwst_miri_{reftype}_9001.rmap'"
    change_mapping(own_cache, "jwst_miri_9001.imap", rules, "'N/A'")
    assert "without it" in unfit(own_cache, reftype, status="not covered")


def test_photom_gives_the_pixel_where_there_is_no_area(own_cache, unfit):
    """Without a map of the area, photom has to have the solid angle."""
    rules = "'jwst_miri_area_9001.rmap'"
    change_mapping(own_cache, "jwst_miri_9001.imap", rules, "'N/A'")
    change_reference(own_cache, "photom", keyword("PIXAR_SR", None))
    assert "has no PIXAR_SR" in unfit(own_cache, "photom")


def test_condemned_reference_is_found(own_cache, unfit):
    """What CRDS's server calls scientifically invalid ends the pipeline: CRDS refuses it."""
    configuration = own_cache / "config" / "jwst" / "server_config"
    text = configuration.read_text()
    configuration.unlink()
    bad = "'bad_files_list': ['jwst_miri_gain_9001.fits']"
    configuration.write_text(text.replace("'bad_files_list': []", bad))
    assert "designated scientifically invalid" in unfit(own_cache, "gain", status="not covered")


@pytest.mark.parametrize(
    "damaged", [MAPPINGS / "jwst_miri_dark_9001.rmap", Path("config", "jwst", "server_config")]
)
def test_damaged_rules_are_a_could_not_judge(own_cache, examine, damaged):
    """What CRDS cannot read its rules from has no references to examine."""
    (own_cache / damaged).unlink()
    (own_cache / damaged).write_text("header = {")
    with pytest.raises(CannotJudge, match="cannot read the rules"):
        examine(own_cache)


def test_unknown_parameters_of_a_step_do_no_harm(own_cache, examine):
    """A context older than a step has no parameters for it; the pipeline goes on."""
    change_mapping(own_cache, "jwst_miri_9001.imap", "'PARS-RSCDSTEP' : 'N/A',", "")
    (finding,) = [each for each in examine(own_cache) if each.reftype == "pars-rscdstep"]
    assert finding.status == NOT_APPLICABLE
    assert "own parameters are used" in finding.sentence


def test_parameters_are_read(own_cache, examine):
    """A parameter reference is plausible if its step accepts it."""
    from jwst.jump import JumpStep

    add_parameters(own_cache, JumpStep, "{rejection_threshold: 5.0}")
    (finding,) = [each for each in examine(own_cache) if each.reftype == "pars-jumpstep"]
    assert (finding.status, finding.sentence) == (PLAUSIBLE, "sets rejection_threshold")


def test_parameters_decide_what_is_asked_for(own_cache, examine):
    """A step that its parameters turn on asks for its reference."""
    from jwst.emicorr import EmiCorrStep

    add_parameters(own_cache, EmiCorrStep, "{skip: false}")
    assert "emicorr" in [each.reftype for each in examine(own_cache)]


ONE_STEP = """{{}}
steps:
- class: jwst.{0}.{1}
  name: {0}
  parameters: {{{2}}}"""


@pytest.mark.parametrize(
    ("of_pipeline", "asked"),
    [
        (("jump", "JumpStep", "rejection_threshold: 5.0"), True),
        (("emicorr", "EmiCorrStep", "skip: true"), False),
    ],
    ids=["of another step", "of this step"],
)
def test_parameters_of_the_pipeline_go_first(own_cache, examine, of_pipeline, asked):
    """What the pipeline's parameters say of a step counts, and only that."""
    from jwst.emicorr import EmiCorrStep
    from jwst.pipeline import Detector1Pipeline

    add_parameters(own_cache, EmiCorrStep, "{skip: false}")
    add_parameters(own_cache, Detector1Pipeline, ONE_STEP.format(*of_pipeline))
    found = {each.reftype: each for each in examine(own_cache)}
    assert found["pars-detector1pipeline"].status == PLAUSIBLE
    assert ("emicorr" in found) == asked


@pytest.mark.parametrize(
    "text", ["{rejection_threshold: high}", "{no_such_parameter: 1}"], ids=["value", "name"]
)
def test_wrong_parameters_are_found(own_cache, unfit, text):
    """What the step would refuse is found before it does."""
    from jwst.jump import JumpStep

    add_parameters(own_cache, JumpStep, text)
    assert "JumpStep does not accept its parameters" in unfit(own_cache, "pars-jumpstep")


def test_flags_are_those_of_the_file(own_cache, unfit):
    """The reference's own DQ_DEF says what a bit means, as in flight references."""

    def redefine(hdus):
        names = [name.strip() for name in hdus["DQ_DEF"].data["NAME"]]
        dead = names.index("DEAD")
        hdus["DQ_DEF"].data["VALUE"][names.index("DO_NOT_USE")] = 64
        hdus["DQ_DEF"].data["VALUE"][dead] = 1
        hdus["DQ"].data[:] |= 64

    change_reference(own_cache, "mask", redefine)
    assert "100 % of the field's pixels" in unfit(own_cache, "mask")


def test_observation_of_too_many_groups_is_found(whole_cache, unfit):
    """The same cache is implausible for longer ramps than its dark."""
    sentence = unfit(whole_cache, "dark", observed(groups=30))
    assert "has 20 groups and the observation 30" in sentence


def test_later_integrations_lose_their_groups(own_cache, unfit):
    """With several integrations the later ones decide."""
    change_reference(own_cache, "rscd", column("RSCD_GROUP_SKIP", "group_skip", 6))
    sentence = unfit(own_cache, "rscd", observed(integrations=2))
    assert "skips 6 of 8 groups" in sentence


def test_first_integration_alone_keeps_its_groups(own_cache, examine):
    """What later integrations lose is of no consequence where there is one."""
    change_reference(own_cache, "rscd", column("RSCD_GROUP_SKIP", "group_skip", 6))
    (finding,) = [each for each in examine(own_cache) if each.reftype == "rscd"]
    assert finding.status == PLAUSIBLE


def subarray_needs(name):
    """Return what an observation with a subarray asks of its references."""
    return Needs(Observation(subarray=name, groups=8))


def test_full_reference_serves_a_subarray(whole_cache):
    """The pipeline cuts a gain of the full array."""
    sentence = plausible.CHECKS["gain"](path_of(whole_cache, "gain"), subarray_needs("SUB256"))
    assert sentence.startswith("median 4 e-/DN")


def test_full_dark_does_not_serve_a_subarray(whole_cache, tmp_path):
    """The pipeline cuts no dark."""
    path = shutil.copy(path_of(whole_cache, "dark"), tmp_path)
    with fits.open(path, memmap=False) as hdus:
        pixels = np.zeros((1, OBSERVATION.groups, *detector.SHAPE), dtype=np.int16)
        hdus["SCI"].data = pixels
        keys = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
        hdus[0].header.update(dict(zip(keys, (1, 1, *detector.SHAPE[::-1]), strict=True)))
        hdus.writeto(path, overwrite=True)
    with pytest.raises(
        ImplausibleReference, match="the observation reads 256 x 256 pixels from column"
    ):
        plausible.CHECKS["dark"](path, Needs(OBSERVATION))


def test_subarray_reference_does_not_serve_the_full_array(own_cache):
    """A reference has to cover what is read out."""

    def reduce(hdus):
        hdus["SCI"].data = hdus["SCI"].data[50:306, 412:668].copy()
        keys = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
        hdus[0].header.update(dict(zip(keys, (413, 51, 256, 256), strict=True)))

    change_reference(own_cache, "gain", reduce)
    path = path_of(own_cache, "gain")
    assert plausible.CHECKS["gain"](path, subarray_needs("SUB256"))
    with pytest.raises(ImplausibleReference, match="covers 256 x 256"):
        plausible.CHECKS["gain"](path, subarray_needs("FULL"))


def test_parameters_are_those_of_the_exposures():
    """CRDS is asked with the header that a simulated exposure has."""
    first = exposures(OBSERVATION)[0]
    start = Time(level1b.START, scale="utc")
    with Level1bModel() as model:
        model.update({"meta": level1b._exposure_metadata(OBSERVATION, first, start)})
        model.update({"meta": level1b._identity_metadata(first, start)})
        when = level1b._visit(OBSERVATION, first.field)
        model.update({"meta": visit_metadata(OBSERVATION, first, *when)})
        header = model.get_crds_parameters()
    asked = crds_parameters(OBSERVATION)
    when = ("meta.observation.date", "meta.observation.time")
    # The time of day may be written with more digits.
    assert Time("T".join(asked.pop(name) for name in when)) == start
    assert asked.items() <= header.items()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(NOT_APPLICABLE, Outcome.PASSED), *((each, Outcome.CANNOT_JUDGE) for each in UNFIT)],
)
def test_one_ill_type_decides(findings, status, expected):
    """Any implausible type makes a run impossible to judge; one that is not applicable does not."""
    assert doctor.outcome([*findings.values(), Finding("ipc", "N/A", status, "")]) is expected


def test_report_has_a_line_for_each_type(findings):
    """The table names every type with its status in sign and word."""
    lines = doctor.report(list(findings.values())).splitlines()
    (gain,) = [line for line in lines if " gain " in line]
    assert gain.split()[:4] == ["✓", "plausible", "gain", "jwst_miri_gain_9001.fits"]
    assert len(lines) == len(findings) + 3


def test_report_ends_with_what_is_unfit():
    """The last lines count and name the types, those that are absent apart from the others."""
    found = [
        Finding("gain", "N/A", "implausible", ""),
        Finding("mask", "N/A", "absent", ""),
        Finding("flat", "N/A", "absent", ""),
        Finding("ipc", "N/A", NOT_APPLICABLE, ""),
    ]
    assert doctor.report(found).splitlines()[-2:] == [
        "2 of 4 types absent: mask, flat",
        "1 of 4 types implausible: gain",
    ]


def test_change_of_the_suites_own_is_found(whole_cache, tmp_path, unfit):
    """Where checksums were written, one that differs is found in values that could be."""
    own = shutil.copytree(whole_cache, tmp_path / whole_cache.name, copy_function=os.link)
    change_reference(own, "gain", fill("SCI", 4.5, np.s_[0, 0]))
    assert "its SHA-256 is not that" in unfit(own, "gain", status="damaged")


@pytest.mark.parametrize("context", ["jwst_0619.pmap", "jwst_0676.pmap"])
def test_real_contexts_without_files(real_file, examine, context):
    """What is not in the cache is not called implausible, nor what the context never had.

    These contexts are of 2020 and 2021: they know neither FASTR1 nor the types of later builds,
    and the cache has no FITS files.
    """
    found = examine(real_file("crds"), Observation(), context)
    of_status = {}
    for each in found:
        of_status.setdefault(each.status, set()).add(each.reftype)
    assert set(of_status) == {PLAUSIBLE, NOT_APPLICABLE, "absent", "not covered"}
    assert of_status[PLAUSIBLE] == {"distortion", "filteroffset", "abvegaoffset"}
    assert {"mask", "gain", "linearity", "photom"} <= of_status["absent"]
    assert of_status["not covered"] >= {"dark", "reset", "readnoise", "sirskernel", "bkg"}
    (unknown,) = [each for each in found if each.reftype == "sirskernel"]
    assert "older than this build of jwst" in unknown.sentence


def test_choice_is_examined(whole_cache, monkeypatch, examine):
    """A choice of references is made and examined without a run directory."""
    examine(whole_cache)  # for the clean environment
    monkeypatch.setenv("MIRI_BACKGROUND_CACHE", os.fspath(whole_cache.parent))
    chosen, found = doctor.examine_choice(OBSERVATION, Calibration())
    assert (chosen.path, chosen.context) == (whole_cache, CONTEXT)
    assert doctor.outcome(found) is Outcome.PASSED


def test_cache_inside_a_run_is_named_by_its_path():
    """Without a run there is no cache inside it."""
    with pytest.raises(CannotJudge, match="name the directory of the CRDS cache"):
        doctor.examine_choice(OBSERVATION, Calibration(crds_cache="working directory"))


@pytest.mark.parametrize("readout", MIXED.readouts, ids=lambda readout: readout.subarray)
def test_synthetic_references_of_a_subarray_are_well(synthetic_caches, examine, readout):
    """The suite's own references cover whatever part of the detector is read."""
    found = examine(synthetic_cache(synthetic_caches, MIXED), MIXED.read_as(readout))
    assert [each for each in found if each.status in UNFIT] == []


def test_references_of_mirisims_detector_are_well(tmp_path, examine):
    """Without dark, flat and non-linearity there is still nothing implausible."""
    observation = Observation(simulator="mirisim", subarray="SUB256", groups=8)
    found = examine(synthetic_cache(tmp_path, observation, 6.0), observation)
    assert [each for each in found if each.status in UNFIT] == []


@pytest.mark.long
def test_every_reference_of_a_run_was_examined(finished, small_cache, examine):
    """What a run's product says it used is what the doctor examined."""
    directory, _ = finished
    used = {}
    for product in sorted(directory.glob("image2/*_cal.fits")):
        with ImageModel(product) as model:
            used |= model.meta.ref_file.instance
    files = {
        reftype: entry["name"].removeprefix("crds://")
        for reftype, entry in used.items()
        if "name" in entry
    }
    assert len(files) > len(MATCH_KEYS) // 2
    examined = {each.reftype: each.file for each in examine(small_cache, OBSERVATION)}
    assert files.items() <= examined.items()


def test_dark_is_read_a_group_at_a_time(whole_cache):
    """Of a file that may have a hundred groups, few are in memory at once."""
    path, needs = path_of(whole_cache, "dark"), Needs(OBSERVATION)
    plausible.CHECKS["dark"](path, needs)  # what is imported for it is imported once
    tracemalloc.start()
    try:
        plausible.CHECKS["dark"](path, needs)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of twenty groups; some are copied while numbers are compared.
    assert most < path.stat().st_size / 3


def test_reference_pixels_have_to_be_flagged(whole_cache, tmp_path):
    """The full array has pixels that see no light, and the mask has to say so."""
    path = shutil.copy(path_of(whole_cache, "mask"), tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus["DQ"].data[:] = 0
    with pytest.raises(ImplausibleReference, match="8192 reference pixels are not flagged"):
        plausible.CHECKS["mask"](path, Needs(observed(subarray="FULL")))
