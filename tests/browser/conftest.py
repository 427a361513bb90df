"""A served demonstration and the system's browser: every visit also fails on what the browser itself complains of."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from ganbu.web.context import DEMO_PASSWORD

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=20_000)


def program() -> str:
    """The browser of the system. There must be one: leaving these tests out takes an explicit word, and never in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        told = "没有浏览器：请安装 chromium（Debian：apt-get install chromium）"
        if os.environ.get("GANBU_WITHOUT_BROWSER") and not os.environ.get("CI"):
            pytest.skip(told)
        pytest.fail(told)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = program()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield launched
        launched.close()


@dataclass(frozen=True)
class Site:
    """The demonstration while it is served: its folder and its address."""

    home: Path
    address: str


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program()  # before anything that takes time
    home = tmp_path_factory.mktemp("demo") / "home"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE") and not name.startswith(("GANBU_", "COV"))
    } | {"GANBU_HOME": str(home), "PYTHONUTF8": "1"}
    ganbu = [sys.executable, "-m", "ganbu.cli"]
    made = subprocess.run(
        [*ganbu, "demo", "--people", "120", "--no-serve", "--dir", str(home)], env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home.parent / "serve.log"
    with log.open("w") as out:
        serving = subprocess.Popen(
            [*ganbu, "serve", "--port", str(port)], env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _answers(serving, f"{address}/login/", log)
        yield Site(home, address)
    finally:
        serving.send_signal(signal.SIGTERM)
        try:
            serving.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(serving.pid, signal.SIGKILL)
            serving.wait(10)


def _answers(serving: subprocess.Popen[Any], address: str, log: Path) -> None:
    for _try in range(300):
        assert serving.poll() is None, log.read_text("utf-8")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server does not answer: {log.read_text('utf-8')}")


@dataclass
class Troubles:
    """What went wrong in the browser beside what a test looks at."""

    found: list[str] = field(default_factory=list)
    fetched: set[str] = field(default_factory=set)
    expected: set[int] = field(default_factory=set)  # refusals that a test is about, by status

    def watch(self, context: BrowserContext) -> None:
        """Listen to all pages of a context, those that open later too."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"script: {error.error}"))
        context.on("response", self._response)
        context.on("requestfailed", self._failed)

    def _console(self, message: ConsoleMessage) -> None:
        at = message.location.get("url", "")
        if at.endswith("/favicon.ico"):
            return  # asked for beside a bare PDF
        refused = re.search(r"a status of (\d+)", message.text)
        if message.type in ("error", "warning") and not (refused and int(refused[1]) in self.expected):
            self.found.append(f"console: {message.text} {at}")

    def _response(self, response: Response) -> None:
        headers = response.headers
        if "content-disposition" in headers or headers.get("content-type") == "application/pdf":
            self.fetched.add(response.url)
        if response.status >= 400 and response.status not in self.expected:
            self.found.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.url.startswith(("chrome-extension://", "chrome://")):
            return  # the viewer of the browser itself, closed with its PDF
        if request.failure == "net::ERR_ABORTED" and not request.is_navigation_request():
            return  # the page was left before its icon or its pictures had come
        # A file that is saved, or handed to the viewer of PDF, ends as an aborted navigation.
        if request.url not in self.fetched:
            self.found.append(f"failed: {request.url} {request.failure}")


@pytest.fixture(scope="session")
def states() -> dict[str, Any]:
    """Who has signed in already: an account may have two sessions only."""
    return {}


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def enter(
    browser: Browser,
    site: Site,
    states: dict[str, Any],
    troubles: Troubles,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Callable[..., Page]]:
    """A page of a browser in which an account is signed in, or nobody. What the browser complained of fails the test."""
    contexts: list[BrowserContext] = []

    def visit(account: str = "", **options: Any) -> Page:
        if account and account not in states:
            first = browser.new_context(base_url=site.address, locale="zh-CN")
            page = first.new_page()
            sign_in(page, account)
            states[account] = first.storage_state()
            first.close()
        context = browser.new_context(
            base_url=site.address, locale="zh-CN", storage_state=states.get(account),
            **{"viewport": DESK, **options},
        )  # fmt: skip
        contexts.append(context)
        troubles.watch(context)
        return context.new_page()

    yield visit
    if getattr(request.node, "failed", False):
        for number, page in enumerate(page for context in contexts for page in context.pages):
            page.screenshot(path=tmp_path / f"failed-{number}.png", full_page=True)
    for context in contexts:
        context.close()
    assert troubles.found == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember a failure, so that its pages are photographed into the temporary folder of the test."""
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report


def sign_in(page: Page, account: str) -> None:
    """By the form, as anybody does."""
    page.goto("/login/")
    page.get_by_label("账号").fill(account)
    page.get_by_label("密码").fill(DEMO_PASSWORD)
    page.get_by_role("main").get_by_role("button", name="登录").click()
    expect(page.get_by_role("navigation")).to_be_visible()


def find(page: Page, words: str, name: str) -> None:
    """Type into the search of people until somebody is listed, and open them."""
    page.goto("/people/")
    page.get_by_role("searchbox", name="查找").press_sequentially(words, delay=20)
    expect(page).to_have_url(re.compile(r"[?&]q="))
    page.locator("#found").get_by_role("link", name=name, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def fact(page: Page, label: str) -> str:
    """A fact on the page of a person."""
    return (
        page.locator("dl.facts div", has=page.locator("dt", has_text=re.compile(f"^{label}$")))
        .locator("dd")
        .inner_text()
    )


def names(page: Page) -> list[str]:
    """The people listed on a page."""
    return [name.strip() for name in page.locator("#found td:nth-child(2) a").all_inner_texts()]
