"""The page of a check in a browser, under the policy that Jenkins gives what it serves."""

import mimetypes
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from miri_background.runs.check import check, write_check

STRICT = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
ADDRESS = "http://jenkins.invalid/report.html"
SIZES = {"desk": (1400, 900), "phone": (380, 740)}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def directory(stage2_original, tmp_path_factory):
    """Return a directory with the page of a check that fails."""
    place = tmp_path_factory.mktemp("results")
    write_check(check(stage2_original, sigma=1.2), place)
    return place


@pytest.fixture
def open_page(browser, directory):
    """Return a function that opens the page, and what was blocked or asked from elsewhere."""
    contexts = []

    def opened(size="desk", scheme="light", policy=STRICT):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.amiss = []
        page.on("console", lambda said: said.type == "error" and page.amiss.append(said.text))

        def answer(route):
            split = urlsplit(route.request.url)
            path = directory / split.path.lstrip("/")
            if split.hostname != "jenkins.invalid" or not path.is_file():
                page.amiss.append(route.request.url)
                route.abort()
                return
            kind = mimetypes.guess_type(path.name)[0]
            headers = {"Content-Security-Policy": policy} if policy else {}
            route.fulfill(
                body=path.read_bytes(), headers=headers | {"Content-Type": f"{kind}; charset=utf-8"}
            )

        context.route("**/*", answer)
        page.goto(ADDRESS)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", SIZES)
def test_page_is_whole_under_the_strict_policy(size, open_page):
    """Nothing is blocked or missing, every picture is shown, and the page has its looks."""
    page = open_page(size)
    shown = page.locator("img").evaluate_all("all => all.map(each => each.naturalWidth)")
    assert page.amiss == []
    assert min(shown) > 0
    assert page.locator("body").evaluate("each => getComputedStyle(each).marginTop") == "0px"


@pytest.mark.parametrize("size", SIZES)
def test_answer_is_seen_first_and_nothing_is_wider_than_the_page(size, open_page):
    """On a desk and on a phone, where tables scroll in boxes of their own."""
    page = open_page(size)
    box = page.locator(".answer").bounding_box()
    assert box["y"] + box["height"] < SIZES[size][1]
    widths = page.locator("html").evaluate("each => [each.scrollWidth, each.clientWidth]")
    assert widths[0] <= widths[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(scheme, open_page):
    """The rules of axe-core find nothing serious, neither in light nor in dark."""
    page = open_page(scheme=scheme, policy="")
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    violations = Axe().run(page).response["violations"]
    assert [
        (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ] == []


def test_paper_is_white_in_the_dark(open_page):
    """Whatever somebody reads it in."""
    page = open_page(scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    colour = page.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
    assert colour == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_screenshot_is_kept(size, scheme, open_page, screenshots):
    """For people to look at; a picture of one colour would show nothing."""
    path = screenshots / f"report_{size}_{scheme}.png"
    open_page(size, scheme).screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
