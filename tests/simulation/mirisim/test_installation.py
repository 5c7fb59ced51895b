"""MIRISim's program is found, run and watched; a stand-in takes its place here."""

import os
import shutil
import time

import psutil
import pytest

from miri_background.outcomes import CannotJudge
from miri_background.simulation.mirisim.calibration import mirisim_calibration
from miri_background.simulation.mirisim.configuration import (
    SceneSource,
    SkyBackground,
    write_configuration,
)
from miri_background.simulation.mirisim.installation import MIRISim, working_directory

OFFSETS = [(0.0, 0.0), (5.0, 3.0)]
END = 20  # s, far more than a killed process needs to vanish


@pytest.fixture
def configured(tmp_path, small):
    """Return a directory with the configuration of two exposures."""
    directory = tmp_path / "configured"
    directory.mkdir()
    sources = [SceneSource(0.0, 0.0, 100.0)]
    write_configuration(directory, "2.4.1", small, SkyBackground(), sources, OFFSETS)
    return directory


@pytest.fixture
def log(tmp_path):
    """Return the path of a log file, whose directory is not there yet."""
    return tmp_path / "logs" / "mirisim.log"


@pytest.fixture
def shell(program, tmp_path):
    """Return a function that gives an installation of which the program is a shell script."""

    def installation(command, **settings):
        program(tmp_path / "mirisim", command)
        return MIRISim(str(tmp_path / "mirisim"), **settings)

    return installation


def alive(pid):
    """Tell whether a process runs; one that has ended and was not waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    "command",
    ["mirisim", "{bin}/mirisim", "env mirisim", "env {bin}/mirisim", "env A=/b/c mirisim"],
)
def test_version_is_that_of_the_environment(command, stand_in, monkeypatch):
    """The Python beside the program is asked, with a wrapper and without one."""
    monkeypatch.setenv("PATH", f"{stand_in}:{os.environ['PATH']}")
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", "2.3.7")
    assert MIRISim(command.format(bin=stand_in)).version == "2.3.7"


def test_command_may_be_a_relative_path(stand_in, configured, log, monkeypatch):
    """It is one from where the user is, not from the directory that MIRISim is run in."""
    monkeypatch.chdir(stand_in.parent)
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "exit")
    with pytest.raises(CannotJudge, match="exit code 3"):
        MIRISim("bin/mirisim").det_images(configured, 2, log)


def test_version_is_asked_where_the_program_is(stand_in, tmp_path, monkeypatch):
    """A program by its name belongs to the Python in its own directory, not to the first one."""
    (tmp_path / "python").symlink_to(shutil.which("false"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{stand_in}:{os.environ['PATH']}")
    assert MIRISim("mirisim").version == "2.4.1"


@pytest.mark.parametrize("version", ["2.1.0", "2.2.0dev0", "2.11.3"])
def test_second_generation_is_supported(version, installation, monkeypatch):
    """Versions from 2.1 are taken."""
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", version)
    assert MIRISim(installation.command).version == version


@pytest.mark.parametrize("version", ["1.3.0", "2.0.9", "3.0.0"])
def test_other_versions_are_refused(version, installation, monkeypatch):
    """Versions that nobody has described are refused by their number."""
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", version)
    with pytest.raises(CannotJudge, match=f"MIRISim {version} .* is not supported"):
        _ = MIRISim(installation.command).version


def test_unreadable_version_is_refused(stand_in, monkeypatch):
    """What is no version number is quoted."""
    monkeypatch.setenv("MIRISIM_STAND_IN_VERSION", "unknown")
    with pytest.raises(CannotJudge, match=r"could not be read, .* gave 'unknown'"):
        _ = MIRISim(str(stand_in / "mirisim")).version


def test_environment_without_mirisim_is_refused(program, tmp_path):
    """A Python that cannot import MIRISim is quoted with its last word."""
    program(tmp_path / "mirisim", "true")
    program(tmp_path / "python", "echo 'No module named mirisim' >&2; exit 1")
    with pytest.raises(CannotJudge, match="gave 'No module named mirisim'"):
        _ = MIRISim(str(tmp_path / "mirisim")).version


def test_missing_command_is_named(configured, log):
    """A command that is not there is told apart from one that fails."""
    with pytest.raises(CannotJudge, match="There is no program 'no-mirisim'"):
        MIRISim("no-mirisim").det_images(configured, 2, log)


def test_missing_command_has_no_version():
    """The version of a command that is not there is not asked for."""
    with pytest.raises(CannotJudge, match="There is no program 'no-mirisim'"):
        _ = MIRISim("no-mirisim").version


@pytest.mark.parametrize("command", ["", "  ", "conda run 'mirisim"])
def test_command_that_is_none_is_refused(command):
    """An empty command, or one with an open quote, is refused at once."""
    with pytest.raises(CannotJudge, match="empty or has an open quote"):
        MIRISim(command)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_time_limit_that_is_none_is_refused(limit):
    """A limit has to be above zero."""
    with pytest.raises(CannotJudge, match="is not above zero"):
        MIRISim(time_limit=limit)


def test_images_come_in_the_order_of_dithers(shell, configured, log):
    """The tenth image follows the ninth, not the first."""
    names = [f"det_image_seq{number}_MIRIMAGE_F770Wexp1.fits" for number in range(1, 12)]
    images = " ".join(f"r_mirisim/det_images/{name}" for name in names)
    fake = shell(f"mkdir -p r_mirisim/det_images && touch {images}")
    assert [path.name for path in fake.det_images(configured, 11, log)] == names


def test_images_of_the_stand_in_are_found(installation, configured, log):
    """Two dither positions give two images."""
    assert len(installation.det_images(configured, len(OFFSETS), log)) == len(OFFSETS)


def test_log_begins_with_the_configuration(shell, configured, log):
    """What MIRISim was told is kept beside what it said."""
    with pytest.raises(CannotJudge):
        shell("echo said; exit 1").det_images(configured, 2, log)
    text = log.read_text()
    assert text.index("[Scene]") < text.index("DitherPat") < text.index("said")


def test_log_ends_with_mirisims_own(shell, configured, log):
    """The log that MIRISim writes into its output directory is kept too."""
    with pytest.raises(CannotJudge):
        shell("mkdir r_mirisim; echo own > r_mirisim/mirisim.log").det_images(configured, 2, log)
    assert log.read_text().rstrip().endswith("--- mirisim.log\nown")


def test_non_zero_exit_is_reported(installation, configured, log, monkeypatch):
    """Exit code and last words are quoted, and the log is named."""
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "exit")
    sentence = f"ended with exit code 3 .*no calibration products.*{log}"
    with pytest.raises(CannotJudge, match=sentence):
        installation.det_images(configured, 2, log)


def test_missing_output_is_reported(installation, configured, log, monkeypatch):
    """A run that ends well and leaves nothing is an error."""
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "no output")
    with pytest.raises(CannotJudge, match=f"left 0 output directories.*{log}"):
        installation.det_images(configured, 2, log)


def test_output_without_images_is_reported(shell, configured, log):
    """An output directory with nothing in det_images is an error."""
    fake = shell("mkdir -p r_mirisim/det_images")
    with pytest.raises(CannotJudge, match=f"left 1 output directories with 0 images.*{log}"):
        fake.det_images(configured, 2, log)


def test_wrong_number_of_images_is_reported(installation, configured, log, monkeypatch):
    """An image that is missing is an error that lists those that are there."""
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "image missing")
    sentence = rf"wrote 1 images \(det_image_seq1.*each of the 2 dither positions.*{log}"
    with pytest.raises(CannotJudge, match=sentence):
        installation.det_images(configured, 2, log)


def test_time_limit_is_reported(shell, configured, log):
    """A run that takes too long is stopped, and the limit is named."""
    with pytest.raises(CannotJudge, match=f"did not end within 0.2 s.*{log}"):
        shell("sleep 600", time_limit=0.2).det_images(configured, 2, log)


def test_time_limit_ends_all_processes(stand_in, configured, log, monkeypatch):
    """What MIRISim has started ends with it."""
    monkeypatch.setenv("MIRISIM_STAND_IN_FAILURE", "hang")
    with pytest.raises(CannotJudge):
        MIRISim(str(stand_in / "mirisim"), time_limit=2).det_images(configured, 2, log)
    pid = int((configured / "child.pid").read_text())
    end = time.monotonic() + END
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pid)


@pytest.mark.parametrize("name", ["MPLBACKEND", "PYTHONPATH"])
def test_settings_of_this_python_are_not_handed_on(name, shell, configured, log, monkeypatch):
    """A notebook's plotting back-end, for one, keeps MIRISim's Python from starting."""
    monkeypatch.setenv(name, "of-this-python")
    with pytest.raises(CannotJudge):
        shell("env; exit 1").det_images(configured, 2, log)
    assert "of-this-python" not in log.read_text()


def test_working_directory_has_no_space(tmp_path, monkeypatch):
    """MIRISim fails where a path has a space, as a user's temporary directory may have."""
    spaced = tmp_path / "with space"
    spaced.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spaced))
    with working_directory() as directory:
        assert " " not in str(directory)


@pytest.mark.slow
@pytest.mark.mirisim
@pytest.mark.skipif(
    shutil.which("mirisim") is None, reason="MIRISim is not installed: no program `mirisim`"
)
@pytest.mark.usefixtures("kept")
def test_real_mirisim_is_understood(small):
    """MIRISim itself, where it is installed, takes the configuration and shows the stars."""
    calibration = mirisim_calibration(MIRISim(), small)
    assert calibration.fault() == ""
