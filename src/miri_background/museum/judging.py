"""What came out of a case: from how the call ended, and from the products if it did."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from miri_background.museum.inputs import ASSOCIATION
from miri_background.outcomes import CannotJudge, error_in_words
from miri_background.provenance import provenance_of_check
from miri_background.reading import open_fits, read_json
from miri_background.validation.judgement import judge_products
from miri_background.validation.mosaic.judgement import judge_mosaic
from miri_background.validation.products.images import read_header, read_image
from miri_background.validation.products.stage2 import product_sets, require_one_set

__all__ = ["Result", "judged", "products_key"]

_STEP_CARD = "S_BKDSUB"
# Cards of which every build, day or place writes its own.
_OWN_CARDS = ("DATE", "CAL_", "CRDS_", "R_", "FILENAME", "FILE_DATE", "SDP_VER", "PRD_VER")
# Objects, and all cards of the exposures of a mosaic.
_NO_CONTENT = ("ASDF", "HDRTAB")
_DEFAULT_SIGMA = 3.0  # of the step, since jwst 1.6
_MOST_SAID = 3  # criteria that a sentence names


@dataclass(frozen=True)
class Result:
    """How a build did in a case.

    Parameters
    ----------
    case, build : str
        Names.
    outcome : str
        One of `OUTCOMES`.
    sentence : str
        What was seen.
    where : str
        Of a crash, the last place of the pipeline.
    seconds, memory : float
        What the call took: wall time with imports, and most resident memory, bytes.
    findings : list of str
        Names of findings about the data.
    metrics : dict
        Value of each exact criterion, by its name, place and exposure.
    products : str
        Key of what the products hold; empty if there are none.
    behaviours : dict
        What the build does where the documentation leaves a choice, by name.
    """

    case: str
    build: str
    outcome: str
    sentence: str = ""
    where: str = ""
    seconds: float = 0.0
    memory: float = 0.0
    findings: tuple = ()
    metrics: dict = None
    products: str = ""
    behaviours: dict = None


def products_key(directory, names):
    """Return the key of what products hold, equal for equal numbers and equal cards.

    Parameters
    ----------
    directory : pathlib.Path
        Holds them.
    names : iterable of str
        Their names.

    Returns
    -------
    str
        Empty if there is none.
    """
    digest, found = hashlib.sha256(), False
    for name in sorted(names):
        found = True
        digest.update(name.encode())
        with open_fits(directory / name) as hdus:
            for hdu in hdus:
                if hdu.name in _NO_CONTENT:
                    continue
                cards = sorted(
                    f"{card.keyword}={card.value!r}"
                    for card in hdu.header.cards
                    if not card.keyword.startswith(_OWN_CARDS) and card.keyword != "HISTORY"
                )
                digest.update(json.dumps([hdu.name, cards]).encode())
                if hdu.data is not None:
                    digest.update(np.ascontiguousarray(hdu.data).tobytes())
    return digest.hexdigest()[:16] if found else ""


def judged(case, build, called, directory, backgrounds, known):
    """Return how a build did in a case.

    Parameters
    ----------
    case : Case
        The case.
    build : str
        Name of the build.
    called : Called
        How the call ended.
    directory : pathlib.Path
        Inputs and products.
    backgrounds : sequence of str
        Names of the files that are subtracted.
    known : dict
        What was judged before, by case and key of products; added to.

    Returns
    -------
    Result
        With the outcome.
    """
    took = {"seconds": called.seconds, "memory": called.memory}
    if called.ending == "crashed":
        return Result(case.name, build, "crashed", called.error, called.where, **took)
    if called.ending != "ended":
        sentence = called.error or f"after {called.seconds:.0f} s and {called.memory / 1e9:.1f} GB"
        return Result(case.name, build, called.ending, sentence, **took)
    if case.call == "association":
        return Result(case.name, build, *_association(directory), **took)
    made = sorted(
        path.name for path in directory.glob("*.fits*") if path.is_file() and not path.is_symlink()
    )
    try:
        key = products_key(directory, made)
    except (OSError, ValueError) as error:
        sentence = f"a product cannot be read: {error}"
        return Result(case.name, build, "not judged", sentence, **took)
    # Of one case: what is right depends on what was asked for.
    of_case = case.name, key
    if of_case not in known:
        given = [directory / name for name in backgrounds]
        try:
            known[of_case] = _judged_products(case, given, directory, made)
        except CannotJudge as error:
            known[of_case] = {"outcome": "not judged", "sentence": str(error)}
    return Result(case.name, build, products=key, **known[of_case], **took)


def _judged_products(case, backgrounds, directory, made):
    """Return outcome, sentence, findings, metrics and behaviours of products."""
    if case.call == "image3":
        return _judged_mosaic(directory)
    if skipped := _skipped(directory, made):
        return {"outcome": "refused", "sentence": skipped}
    if not case.backgrounds:
        return _without_backgrounds(directory, made)
    verdict = _verdict(case, backgrounds, directory)
    behaviours = {each.aspect: each.name for each in verdict.behaviours}
    return _judgement(verdict.metrics, verdict.findings) | {"behaviours": behaviours}


def _judged_mosaic(directory):
    """Return outcome, sentence, findings and metrics of a mosaic with its exposures."""
    judgement = judge_mosaic(directory)
    reasons = {each.name: each.reason for each in judgement.not_judged}
    if "mosaic value" in reasons:
        raise CannotJudge(reasons["mosaic value"])
    return _judgement(judgement.metrics, judgement.findings)


def _judgement(metrics, findings):
    """Return outcome, sentence, findings and metrics of what was judged."""
    broken = [metric for metric in metrics if not metric.passed]
    names = dict.fromkeys(metric.name for metric in broken)
    sentence = ""
    if broken:
        details = [each.detail for each in broken if each.detail]
        sentence = f"{', '.join(list(names)[:_MOST_SAID])}: {(details or ['beyond its limit'])[0]}"
    return {
        "outcome": "correct" if metrics and not broken else "wrong",
        "sentence": sentence,
        "findings": tuple(dict.fromkeys(each.name for each in findings)),
        "metrics": {" | ".join(map(str, metric.key)): metric.value for metric in metrics},
    }


def _verdict(case, backgrounds, directory):
    """Return the verdict on products, which have the clipping that was asked for, or are wrong."""
    started = datetime.now(UTC)
    sigma = _DEFAULT_SIGMA if case.sigma is None else case.sigma
    # What is no JSON was read by the build, and is not read here.
    associated = case.call == "image2" and case.association != "trailing comma"
    found = product_sets(
        directory,
        sigma,
        case.maxiters or 0,
        association=directory / ASSOCIATION if associated else None,
        # Without an association, what the step was given is known from the job.
        backgrounds=[] if associated else backgrounds,
    )
    products = replace(found.products(require_one_set(found)), clipping_is_sure=True)
    try:
        judgement = judge_products(products)
        return judgement.verdict(provenance_of_check(products, directory, "none", started))
    except (ArithmeticError, LookupError, ValueError, TypeError) as error:
        msg = f"The products cannot be judged ({error_in_words(error)}): please report it."
        raise CannotJudge(msg) from error


def _skipped(directory, made):
    """Return in words that the step was skipped, if the products say so, and are as they were."""
    for name in made:
        if read_header(directory / name).get(_STEP_CARD) == "SKIPPED":
            return f"{name} has {_STEP_CARD} = 'SKIPPED'"
    return ""


def _without_backgrounds(directory, made):
    """Return what became of a science exposure that there is no background for."""
    subtracted = [name for name in made if read_header(directory / name).get(_STEP_CARD)]
    if not subtracted:
        return {"outcome": "refused", "sentence": "nothing was subtracted, and nothing says so"}
    name = subtracted[0]
    rate = next(path for path in directory.glob("*_rate.fits") if path.is_symlink())
    before, after = (read_image(path).data for path in (rate, directory / name))
    same = np.array_equal(before, after, equal_nan=True)
    altered = "as they were" if same else "altered"
    sentence = f"{name} has {_STEP_CARD} = 'COMPLETE' without a background, its data are {altered}"
    return {"outcome": "wrong", "sentence": sentence}


def _association(directory):
    """Return outcome and sentence of an association that the helper has written."""
    (path,) = Path(directory).glob("*_asn.json")
    members = read_json(path)["products"][0]["members"]
    kinds = [each.get("exptype") for each in members]
    if kinds[:1] == ["science"] and set(kinds[1:]) == {"background"}:
        return "correct", ""
    return "wrong", f"the types of its members are {', '.join(map(str, kinds))}"
