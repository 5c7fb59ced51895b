"""Calls of a pipeline build, carried out by the Python of that build.

It needs nothing but jwst, from 1.6 on, and Python 3.8: nothing of this suite is imported.

Usage: PYTHON runner.py

The pipeline is imported once.  Then each line of the standard input names a JSON file with a job:
environment variables, current directory, log, the call and its arguments.  It is carried out in a
process of its own, whose number is printed before, and how that ended after it.  What came of the
call is written to the file that the job names.
"""

import inspect
import json
import logging
import os
import select
import signal
import sys
import traceback
from pathlib import Path

# Whose lines are the cause: the last of them in a traceback.
_OURS = ("jwst", "stcal", "stpipe", "stdatamodels")
_LONGEST = 500  # characters of an error's message
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_BETWEEN_LOOKS = 0.05  # s, at whether a call has ended


def _options(pipeline):
    """Return the options of `call` that this build knows."""
    # Old builds have a log configuration of their own, which nobody may ask them to leave.
    source = inspect.getsource(pipeline.call)
    return {"configure_log": False} if "configure_log" in source else {}


def detector1(job):
    """Run calwebb_detector1 on a level-1b file, as anybody would."""
    from jwst.pipeline import Detector1Pipeline

    Detector1Pipeline.call(
        job["uncal"],
        output_dir=job["output"],
        save_results=True,
        **job["parameters"],
        **_options(Detector1Pipeline),
    )


def image2(job):
    """Run calwebb_image2 on an association, as anybody would."""
    from jwst.pipeline import Image2Pipeline

    _on_association(Image2Pipeline, job)


def image3(job):
    """Run calwebb_image3 on an association, as anybody would, if asked after calwebb_image2."""
    from jwst.pipeline import Image3Pipeline

    for name in job.get("exposures", ()):
        image2({**job, "association": name, "steps": job["exposure_steps"]})
    _on_association(Image3Pipeline, job)


def _on_association(pipeline, job):
    """Run a pipeline on an association."""
    pipeline.call(
        job["association"],
        output_dir=job["output"],
        save_results=True,
        steps=job["steps"],
        **_options(pipeline),
    )


def step(job):
    """Run the background step by itself, with a list of backgrounds, and save what it returns."""
    from jwst.background import BackgroundStep

    background = BackgroundStep()
    for name, value in job["parameters"].items():
        setattr(background, name, value)
    background.output_dir = job["output"]
    result = background.run(job["science"], job["backgrounds"])
    # In a list where the step gets several.
    result = result[0] if isinstance(result, (list, tuple)) else result
    result.save(str(Path(job["output"]) / job["name"]))


def association(job):
    """Associate rates with their types, as the helper of the associations package does."""
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level2_base import DMSLevel2bBase

    items = [tuple(item) for item in job["items"]]
    made = asn_from_list(items, rule=DMSLevel2bBase, with_exptype=True, product_name=job["name"])
    path = Path(job["output"]) / (job["name"] + "_image2_asn.json")
    path.write_text(made.dump()[1], encoding="utf-8")


_CALLS = {
    "detector1": detector1,
    "image2": image2,
    "image3": image3,
    "step": step,
    "association": association,
}


def _where(error):
    """Return the last place of the pipeline in a traceback: file, line, and what stands there."""
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        parts = frame.filename.replace(os.sep, "/").split("/")
        package = [number for number, part in enumerate(parts) if part in _OURS]
        if package:
            name = "/".join(parts[package[-1] :])
            found = f"{name}:{frame.lineno}: {frame.line}"
    return found


def _import():
    """Import the pipeline; where that fails, each call shows why."""
    try:
        from jwst.background import BackgroundStep  # noqa: F401
        from jwst.pipeline import Image2Pipeline  # noqa: F401
    except BaseException:  # noqa: BLE001 - a build may do anything
        traceback.print_exc()


def _carry_out(job):
    """Carry a job out, and write what came of it."""
    result = {"error": "", "where": ""}
    try:
        _CALLS[job["call"]](job)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        traceback.print_exc()
        message = " ".join(str(error).split())[:_LONGEST]
        result["error"] = f"{type(error).__name__}: {message}"
        result["where"] = _where(error)
    aside = Path(job["result"] + ".part")
    aside.write_text(json.dumps(result, indent=1), encoding="utf-8")
    aside.replace(job["result"])


def _in_its_process(job):
    """Carry a job out in this process, which has no other task, and end it."""
    code = 1
    try:
        log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        os.chdir(job["directory"])
        os.environ.update(job["environment"])
        # Builds that leave the log to their caller would keep to themselves what they did.
        logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
        _carry_out(job)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(child):
    """Wait for a call, and return its exit code; end with it if nobody waits for it any more."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        # Nothing is asked for during a call: what can be read is the end, as of a caller that
        # was killed.
        if select.select([0], [], [], _BETWEEN_LOOKS)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os._exit(1)


def main():
    """Carry out one job after the other, until there is no more."""
    answers = os.fdopen(os.dup(1), "w")
    # What imports print is not an answer.
    os.dup2(2, 1)
    _import()
    # Read line by line: what were read ahead would not be seen during a call.
    jobs = os.fdopen(0, "rb", 0)
    for line in iter(jobs.readline, b""):
        job = json.loads(Path(line.decode().rstrip("\n")).read_text(encoding="utf-8"))
        child = os.fork()
        if not child:
            _in_its_process(job)
        answers.write(f"began {child}\n")
        answers.flush()
        answers.write(f"ended {_ended(child)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
