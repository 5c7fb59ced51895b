"""A correct step passes on what flight has, and on what is hard findings name the causes."""

import json

import pytest

# Whole runs; what a preset sets, and what its effects do, is tested part by part elsewhere.
pytestmark = [pytest.mark.slow, pytest.mark.long]

SMALL = ["--subarray=SUB256", "--science-exposures=1", "--background-exposures=3"]
OTHERS = {
    # In so few pixels and groups, a quarter more sky is too little to be sure of.
    "flight": ["--filter=F560W", "--groups=16", "--first-exposure-excess=50"],
    # The dark of other small tests: what a shorter one is has a test of its own.
    "hard": ["--groups=16", "--dark-groups=0", "--first-exposure-excess=24.8"],
}
FOUND = {
    "flight": {"level of a background"},
    "hard": {
        "level of a background",
        "skies of the fields differ",
        "stripes of columns",
        "read otherwise",
        "another epoch",
    },
}


@pytest.mark.parametrize("preset", ["flight", "hard"])
def test_correct_step_passes_and_causes_are_named(command_line, tmp_path, preset):
    """No criterion fails, and each cause that the preset has is named by a finding."""
    arguments = [f"--preset={preset}", *SMALL, *OTHERS[preset]]
    ended = command_line("validate", "--run", tmp_path / "run", *arguments)
    assert ended.returncode == 0, ended.stdout
    (path,) = (tmp_path / "run").glob("**/metrics.json")
    findings = {each["name"] for each in json.loads(path.read_text())["findings"]}
    assert findings >= FOUND[preset]
