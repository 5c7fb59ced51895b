"""The simulated data of the main job, compared with what data_manifest.yaml has of them."""

import yaml

from miri_background.data.manifest import manifest_text, read_manifest
from miri_background.observation import Observation, exposures
from miri_background.outcomes import CannotJudge
from miri_background.provenance import level1b_checksum
from miri_background.reading import read_text
from miri_background.repository import repository_file

__all__ = ["check_level1b", "manifest_of"]


def manifest_of(run):
    """Return the text of the manifest for a run's observation and level-1b files.

    What it has of other data stays.
    """
    content = read_manifest() | {
        "main_job": {
            "observation": run.observation.model_dump(mode="json"),
            "level1b_sci_sha256": {
                run.uncal(exposure).name: level1b_checksum(run.uncal(exposure))
                for exposure in exposures(run.observation)
            },
        }
    }
    return manifest_text(content)


def check_level1b(run):
    """Compare a run's level-1b files with the manifest.

    Parameters
    ----------
    run : RunDirectory
        A run with its level-1b files.

    Returns
    -------
    str
        One sentence.

    Raises
    ------
    CannotJudge
        If the manifest is for this observation and a file is not the one it names.
    """
    path = repository_file("data_manifest.yaml")
    try:
        job = yaml.safe_load(read_text(path))["main_job"]
        observation, checksums = Observation.create(**job["observation"]), job["level1b_sci_sha256"]
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        msg = (
            f"{path} is not a whole manifest ({error}): "
            "write it anew with `miri-background manifest`."
        )
        raise CannotJudge(msg) from error
    if observation != run.observation:
        return f"{path.name} is for the default observation; this one is another."
    for exposure in exposures(run.observation):
        uncal = run.uncal(exposure)
        if level1b_checksum(uncal) != checksums.get(uncal.name):
            msg = (
                f"{uncal} is not the file that {path} names: the simulator was changed; "
                "if that was meant, write the manifest anew with `miri-background manifest`."
            )
            raise CannotJudge(msg)
    return f"All {len(checksums)} level-1b files are those of {path.name}."
