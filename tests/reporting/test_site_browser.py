"""The site in a browser, under the policy that Jenkins gives what it serves."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

STRICT = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
SEARCH = "search.html"
# One page of each kind: these are examined, and by night all are opened.
FRONT, METRIC, NOTEBOOK = "index.html", "metrics/residual.html", "observations/f1500w.html"
INTERFACE = "interface.html"
LISTS = ("metrics/index.html", "runs/index.html", "documents.html")
KINDS = (FRONT, METRIC, NOTEBOOK, *LISTS, INTERFACE, SEARCH)
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

pytestmark = pytest.mark.slow


class Handler(SimpleHTTPRequestHandler):
    """Serve a directory under a policy, without a word."""

    def __init__(self, *arguments, policy, **options):
        self._policy = policy
        super().__init__(*arguments, **options)

    def end_headers(self):
        """Add the policy to each answer."""
        if self._policy:
            self.send_header("Content-Security-Policy", self._policy)
        super().end_headers()

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture(scope="module")
def serve(sample_site):
    """Return a function that serves the sample site under a policy, and returns its address."""
    servers = []

    def start(policy):
        handler = partial(Handler, policy=policy, directory=sample_site.front.parent)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def strict(serve):
    """Return the address of the site as Jenkins would serve it."""
    return serve(STRICT)


@pytest.fixture(scope="module")
def free(serve):
    """Return the address of the site on a server that lets scripts run."""
    return serve("")


@pytest.fixture
def page(browser):
    """Return a page that records what is amiss, and lets nothing out."""
    context = browser.new_context(viewport=DESK)
    opened = context.new_page()
    opened.amiss = []
    opened.on("console", lambda said: said.type == "error" and opened.amiss.append(said.text))
    opened.on("pageerror", lambda error: opened.amiss.append(str(error)))
    opened.on("requestfailed", lambda request: opened.amiss.append(f"failed: {request.url}"))

    def guard(route):
        split = urlsplit(route.request.url)
        if split.scheme == "file" or split.hostname == "127.0.0.1":
            route.continue_()
        else:
            opened.amiss.append(f"external: {route.request.url}")
            route.abort()

    context.route("**/*", guard)
    opened.on(
        "response",
        lambda answer: answer.ok or opened.amiss.append(f"{answer.status} {answer.url}"),
    )
    yield opened
    context.close()


def pages_of(sample_site):
    """Return the places of all pages of the site but that of the search."""
    root = sample_site.front.parent
    return [
        str(path.relative_to(root)) for path in sorted(root.rglob("*.html")) if path.name != SEARCH
    ]


def unseen(page):
    """Return the pictures of a page that are not shown."""
    return page.locator("img").evaluate_all(
        "all => all.filter(each => !each.complete || each.naturalWidth == 0).map(each => each.src)"
    )


def amiss_of(page, address, places):
    """Return what is amiss on pages, by their place."""
    wrong = {}
    for place in places:
        page.amiss.clear()
        page.goto(address + place)
        styled = page.locator("body").evaluate("each => getComputedStyle(each).marginTop") == "0px"
        problems = [*page.amiss, *unseen(page), *([] if styled else ["no style"])]
        if problems:
            wrong[place] = problems
    return wrong


def test_pages_are_whole_under_the_strict_policy(page, strict):
    """No error in the console, no request to elsewhere, each picture and style is there."""
    assert amiss_of(page, strict, [place for place in KINDS if place != SEARCH]) == {}


@pytest.mark.long
def test_every_page_is_whole_under_the_strict_policy(page, strict, sample_site):
    """So it is on every page, not only on one of each kind."""
    assert amiss_of(page, strict, pages_of(sample_site)) == {}


def test_policy_is_in_force(page, strict):
    """A script does not run under it: what the other test sees is what Jenkins would show."""
    page.goto(strict + SEARCH)
    assert any("Blocked script execution" in said or "script" in said for said in page.amiss)


def test_search_says_what_to_do_without_scripts(page, strict):
    """Where it cannot search, its page leads to a list of all pages."""
    page.goto(strict + SEARCH)
    page.get_by_role("link", name="All pages").click()
    assert page.url.endswith("documents.html#all-pages")
    assert page.locator("main").get_by_role("link", name="residual", exact=True).is_visible()


def search(page):
    """Look for a word of a document, and wait until the document is found."""
    page.get_by_role("searchbox").fill("cruciform")
    page.get_by_role("button", name="Search").click()
    page.locator("#search-results a[href*='fidelity']").first.wait_for(timeout=10_000)


def test_search_finds_where_scripts_may_run(page, free):
    """With the words around what was found."""
    page.goto(free + SEARCH)
    search(page)
    page.locator("#search-results p.context").first.wait_for(timeout=10_000)
    assert page.amiss == []


def test_search_finds_in_a_copy_on_disk(page, sample_site):
    """As its page says of where scripts are blocked."""
    page.goto((sample_site.front.parent / SEARCH).as_uri())
    search(page)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_nobody_is_kept_out(page, free, scheme):
    """The rules of axe-core find nothing serious, neither in light nor in dark."""
    page.emulate_media(color_scheme=scheme)
    found = {}
    for place in KINDS:
        page.goto(free + place)
        violations = Axe().run(page).response["violations"]
        told = [
            (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
            for each in violations
            if each["impact"] in ("serious", "critical")
        ]
        if told:
            found[place] = told
    assert found == {}


def test_axe_finds_what_is_wrong(page, free):
    """Text that cannot be read is noticed, so that finding nothing means something."""
    page.goto(free + FRONT)
    page.add_style_tag(content="main p { color: #bbb !important; background: #fff !important }")
    violations = Axe().run(page).response["violations"]
    assert "color-contrast" in [each["id"] for each in violations]


@pytest.mark.parametrize("place", KINDS)
def test_phone_scrolls_tables_not_pages(page, strict, place):
    """On a narrow screen everything is within it, but for what scrolls in its own box."""
    page.set_viewport_size(PHONE)
    page.goto(strict + place)
    widths = page.locator("html").evaluate("each => [each.scrollWidth, each.clientWidth]")
    assert widths[0] <= widths[1]


def test_answer_is_seen_first(page, strict):
    """Without scrolling, on a desk and on a phone."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        page.goto(strict + FRONT)
        box = page.locator(".answer").bounding_box()
        assert box["y"] + box["height"] < size["height"]


def test_page_opens_from_a_file(page, sample_site):
    """Without a server: pictures and styles are there."""
    page.goto((sample_site.front.parent / METRIC).as_uri())
    assert unseen(page) == []
    page.get_by_role("link", name="Status").click()
    assert page.locator(".answer").is_visible()


@pytest.mark.parametrize(
    ("name", "place", "scheme", "size"),
    [
        ("front", FRONT, "light", DESK),
        ("front_dark", FRONT, "dark", DESK),
        ("front_phone", FRONT, "light", PHONE),
        ("metric", METRIC, "light", DESK),
        ("metric_dark", METRIC, "dark", DESK),
        ("notebook", NOTEBOOK, "light", DESK),
        ("notebook_phone", NOTEBOOK, "dark", PHONE),
    ],
)
def test_screenshot_is_kept(page, strict, screenshots, name, place, scheme, size):
    """For people to look at; a picture of one colour would show nothing."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.goto(strict + place)
    path = screenshots / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    with Image.open(path) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
