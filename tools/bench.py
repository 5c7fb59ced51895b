"""Time the main job against the plain pipeline, and write docs/bench.json and docs/speed.md.

The plain way is what a user writes who has the level-1b files and the associations already: one
process, `Detector1Pipeline.call` on each file, `Image2Pipeline.call` on each association, no
resampling.  The main job also simulates, judges, draws and writes its page.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parents[1]
PLAIN = """
import os, sys
from pathlib import Path
from jwst.pipeline import Detector1Pipeline, Image2Pipeline

uncal, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
associations = sorted(Path(sys.argv[3]).resolve().glob("*_image2_asn.json"))
for path in sorted(uncal.glob("*_uncal.fits")):
    Detector1Pipeline.call(str(path), output_dir=str(out), save_results=True).close()
os.chdir(out)
steps = {
    "bkg_subtract": {"sigma": 2.0, "maxiters": 3, "save_combined_background": True,
                     "save_results": True},
    "resample": {"skip": True},
}
for path in associations:
    (out / path.name).write_text(path.read_text())
    Image2Pipeline.call(path.name, output_dir=str(out), save_results=True, steps=steps)
"""
WAYS = {
    "plain": "the pipeline alone, in one process",
    "cold": "the main job, nothing made before",
    "sigma": "another sigma",
    "again": "nothing changed, the notebook executed all the same (`--again`)",
    "same": "nothing changed",
}
_EXECUTED = ("cold", "sigma", "again")
PAGE = """\
# How long it takes

Written by `make bench`: {repeats} round(s), the ways one after the other in each, on {cores} cores
of {machine}, with jwst {jwst} and Python {python}. Reference files were there before. A run's page
has its own seconds by section.

| what | seconds: median (least to most) | over the plain pipeline | largest process |
|---|---|---|---|
{rows}

The plain pipeline is what a user writes who has the exposures already: `Detector1Pipeline.call` on
8 level-1b files, `Image2Pipeline.call` on 4 associations without resampling, in one process. The
main job also simulates the exposures, judges, draws figures and writes its page.

Seconds by section of the main job, of the last round:

| section | nothing made before | another sigma | executed again |
|---|---|---|---|
{sections}
"""


def measured(command, environment):
    """Run a command.

    Parameters
    ----------
    command : list of str
        The command.
    environment : dict
        Its environment variables.

    Returns
    -------
    seconds, bytes : float, int
        How long it took, and the largest resident memory of a process of it.
    """
    started, largest = time.perf_counter(), [0]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        ended = threading.Event()

        def watch():
            """Look at all processes below the command, twice a second."""
            while not ended.wait(0.5):
                try:
                    family = psutil.Process(process.pid)
                    for each in (family, *family.children(recursive=True)):
                        largest[0] = max(largest[0], each.memory_info().rss)
                except psutil.Error:
                    continue

        thread = threading.Thread(target=watch)
        thread.start()
        code = process.wait()
        seconds = time.perf_counter() - started
        ended.set()
        thread.join()
        if code not in (0, 3):
            said.seek(0)
            sys.exit(said.read().decode(errors="replace"))
    return seconds, largest[0]


def sections(run):
    """Return the seconds of each section of a run's notebook."""
    (path,) = run.glob("image2_background.ipynb")
    return nbformat.read(path, as_version=4).metadata["seconds_by_section"]


def rounds(repeats, scratch, environment):
    """Return what was measured.

    Parameters
    ----------
    repeats : int
        Number of rounds.
    scratch : pathlib.Path
        Directory for runs.
    environment : dict
        Environment variables.

    Returns
    -------
    times, memory, by_section : dict
        By way: seconds of each round, bytes of the largest process, seconds by section.
    """
    program = Path(sys.executable).with_name("miri-background")
    times, memory, by_section = ({way: [] for way in WAYS} for _ in range(3))
    prepared = scratch / "prepared"
    measured([program, "validate", "--run", prepared], environment)
    (run,) = prepared.glob("jwst-*/sigma2*")
    (cache,) = Path(environment["MIRI_BACKGROUND_CACHE"]).iterdir()
    plain_environment = environment | {
        "CRDS_PATH": str(cache),
        "CRDS_CONTEXT": json.loads((run / "metrics.json").read_text())["provenance"][
            "crds_context"
        ],
        "CRDS_MODE": "local",
        "CRDS_READONLY_CACHE": "1",
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
    }
    for number in range(repeats):
        main, out = scratch / f"main-{number}", scratch / f"plain-{number}"
        out.mkdir()
        validate = [program, "validate", "--run", main]
        commands = {
            "plain": [sys.executable, "-c", PLAIN, run / "uncal", out, run / "image2"],
            "cold": validate,
            "sigma": [*validate, "--sigma", "3"],
            "again": [*validate, "--again"],
            "same": validate,
        }
        for way, command in commands.items():
            chosen = plain_environment if way == "plain" else environment
            seconds, largest = measured(list(map(str, command)), chosen)
            times[way].append(seconds)
            memory[way].append(largest)
            print(f"{number + 1}: {WAYS[way]}: {seconds:.1f} s, {largest / 1e9:.2f} GB", flush=True)
            if way in _EXECUTED:
                (made,) = main.glob("jwst-*/sigma3*" if way == "sigma" else "jwst-*/sigma2*")
                by_section[way] = sections(made)
        shutil.rmtree(main)
        shutil.rmtree(out)
    return times, memory, by_section


def page(result):
    """Return the text of docs/speed.md."""
    rows, by_section = [], result["seconds_by_section"]
    for way, words in WAYS.items():
        seconds, ratio = result["seconds"][way], result["over_plain"][way]
        rows.append(
            f"| {words} | {in_words(seconds, 1)} | {in_words(ratio, 2)} "
            f"| {result['largest_process_bytes'][way] / 1e9:.2f} GB |"
        )
    titles = dict.fromkeys(title for each in by_section.values() for title in each)
    cells = [
        f"| {title} | "
        + " | ".join(f"{by_section[way].get(title, 0.0):.1f}" for way in _EXECUTED)
        + " |"
        for title in titles
    ]
    about = {name: result[name] for name in ("repeats", "cores", "machine", "jwst", "python")}
    return PAGE.format(rows="\n".join(rows), sections="\n".join(cells), **about)


def in_words(values, digits):
    """Return median, least and most as text."""
    median, least, most = (f"{values[name]:.{digits}f}" for name in ("median", "least", "most"))
    return f"{median} ({least} to {most})"


def spread(values):
    """Return median, least and most of some values."""
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def main():
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="rounds [default: 3]")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="[default: docs]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="miri-background-bench-") as directory:
        scratch = Path(directory)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CRDS_")
        }
        environment["MIRI_BACKGROUND_CACHE"] = str(scratch / "cache")
        times, memory, by_section = rounds(arguments.repeats, scratch, environment)
    ratios = {
        way: [one / plain for one, plain in zip(times[way], times["plain"], strict=True)]
        for way in WAYS
    }
    result = {
        "repeats": arguments.repeats,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "jwst": version("jwst"),
        "python": platform.python_version(),
        "seconds": {way: spread(values) for way, values in times.items()},
        "over_plain": {way: spread(values) for way, values in ratios.items()},
        "largest_process_bytes": {way: max(values) for way, values in memory.items()},
        "seconds_by_section": {way: by_section[way] for way in _EXECUTED},
    }
    (arguments.output / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.output / "speed.md").write_text(page(result), encoding="utf-8")
    print(f"Written: {arguments.output / 'bench.json'}, {arguments.output / 'speed.md'}")


if __name__ == "__main__":
    main()
