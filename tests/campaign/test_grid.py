"""A campaign's file says which cases there are, or is refused in one sentence."""

import pytest

from miri_background.campaign.grid import read_grid
from miri_background.campaign.scene import Scene
from miri_background.outcomes import SetUpWrong
from miri_background.repository import repository_file

FILE = """
name: small
seeds: 2
scene: {size: 128}
ways:
  three: {kind: step, sigma: 3}
  two: {kind: step, sigma: 2}
studies:
  number: {vary: {backgrounds: [2, 4]}, ways: [three, two]}
  again: {vary: {backgrounds: [4]}, ways: [three]}
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a campaign's file, a part of it replaced."""

    def written(old="", new=""):
        path = tmp_path / "campaign.yaml"
        path.write_text(FILE.replace(old, new) if old else FILE)
        return path

    return written


def test_grid_has_every_combination(write):
    """Two numbers of backgrounds, two ways and two seeds are eight cases."""
    assert len(read_grid(write()).studies["number"]) == 8


def test_case_of_two_studies_is_one_case(write):
    """What another study has, too, is not carried out twice."""
    grid = read_grid(write())
    assert (len(grid.studies["again"]), len(grid.cases())) == (2, 8)


def test_cases_of_a_scene_stand_together(write):
    """Its rates are drawn once."""
    scenes = [case.scene.key for case in read_grid(write()).cases()]
    assert len(set(scenes)) == 4
    assert all(scenes[n] == scenes[n + 1] for n in range(0, 8, 2))


def test_name_of_a_way_does_not_change_its_case(write):
    """A case is known by its content."""
    before = {case.content for case in read_grid(write()).cases()}
    assert {case.content for case in read_grid(write("three", "default")).cases()} == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("sigma: 3", "sigma: -3", "ways three step sigma = -3: input should be greater than 0"),
        ("kind: step, sigma: 3", "kind: stop", "does not match any of the expected tags"),
        ("sigma: 3", "sigme: 3", "extra inputs are not permitted"),
        ("[2, 4]", "[2, 99]", "backgrounds = 99 is not a whole number from 1 to 16 exposures"),
        ("backgrounds: [4]", "background: [4]", "background is not a parameter"),
        ("ways: [three]", "ways: [four]", "there is no way 'four'; the file has three, two"),
        ("name: small", "name: small\nname: large", "name is given twice"),
        ("seeds: 2", "seeds: 0", "seeds = 0: input should be greater than or equal to 1"),
        ("[2, 4]", "[]", "at least 1 item"),
        ("size: 128", "size: 1000", "size = 1000 is not a whole number from 96 to 640"),
    ],
)
def test_wrong_file_is_refused_in_one_sentence(write, old, new, told):
    """The sentence names the file, the place and what it may be."""
    with pytest.raises(SetUpWrong) as refused:
        read_grid(write(old, new))
    sentence = str(refused.value)
    assert sentence.startswith(str(write()))
    assert told in sentence
    assert "\n" not in sentence


def test_square_has_to_be_inside_the_subarray():
    """What a subarray has not cannot be looked at."""
    with pytest.raises(SetUpWrong, match="more than SUB256 has of the imager"):
        Scene.create(subarray="SUB256", size=300)


def test_campaign_of_the_page_is_legal():
    """The file that the page is made from describes some hundreds of cases."""
    grid = read_grid(repository_file("docs", "which_background.yaml"))
    assert 500 < len(grid.cases()) < 5000
