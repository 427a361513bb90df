"""Every main page: nothing wider than a phone, every action within reach, no barrier that axe knows of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import DESK, PHONE

PAGES = {
    "ganbuke": (
        "/", "/people/?q=局长", "{person}", "{person}?tab=appointment", "{person}file/", "{person}edit/person/{key}/", "{person}history/",
        "{unit}", "/teams/", "{team}", "/query/?condition=性别 = '女' and 年龄 >= 45", "/query/cross/", "/imports/", "{batch}",
        "/findings/?policy=红黄牌", "{reasons}", "/files/", "{audit}", "/registers/", "/requests/", "/help/",
    ),
    "xitong": ("/accounts/",),
    "anquan": ("/grants/",),
    "shenji": ("/audit/?action=login",),
    "": ("/login/",),
}  # fmt: skip
WIDE = """(width) => [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll"))
  .map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)"""
OUT_OF_REACH = """(width) => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")]
  .filter((e) => e.checkVisibility() && !e.closest(".scroll") && !e.matches(".skip"))
  .filter((e) => { const box = e.getBoundingClientRect(); return box.left < 0 || box.right > width + 1 || !box.height; })
  .map((e) => e.outerHTML.slice(0, 120))"""
RUN = "async (options) => (await axe.run(options)).violations"
GRAVE = ("serious", "critical")


@pytest.fixture
def places(enter) -> dict[str, str]:
    """Where the pages are whose address depends on the data."""
    page = enter("ganbuke")

    def first(at: str, link: str) -> str:
        page.goto(at)
        return page.locator(f"main a[href*='{link}']").first.get_attribute("href")

    page.goto("/people/")
    person = (
        page.locator("#found td a")
        .nth(60 if page.locator("#found td a").count() > 60 else 40)
        .get_attribute("href")
    )
    page.goto(f"{person}file/")
    if not page.locator("main a[href*='/files/audits/']").count():
        page.get_by_label("审核事由").fill("看页面")
        page.get_by_role("button", name="提出审核").click()
        page.wait_for_url("**/files/audits/**")  # leaving before it arrives would abort it
        page.goto(f"{person}file/")
    return {
        "person": person, "key": person.split("/")[2], "audit": page.locator("main a[href*='/files/audits/']").first.get_attribute("href"),
        "unit": first("/units/", "/units/"), "team": first("/teams/", "/teams/"), "batch": first("/imports/", "/imports/1/"),
        "reasons": page.goto("/findings/") and page.locator("main td a[href^='/findings/']").first.get_attribute("href"),
    }  # fmt: skip


def walk(enter, places: dict[str, str], **options) -> Iterator[tuple[str, Page]]:
    """Every page, opened by who may."""
    for account, pages in PAGES.items():
        page = enter(account, **options)
        for name in pages:
            page.goto(name.format(**places))
            yield name, page


def test_on_a_phone_nothing_is_cut_off_and_everything_within_reach(enter, places):
    found = {}
    for name, page in walk(enter, places, viewport=PHONE, has_touch=True, is_mobile=True):
        for size in ("", "large"):
            page.evaluate("size => { document.documentElement.dataset.size = size }", size)
            if page.evaluate("document.scrollingElement.scrollWidth") > PHONE["width"]:
                found[name, size] = page.evaluate(WIDE, PHONE["width"])
            elif lost := page.evaluate(OUT_OF_REACH, PHONE["width"]):
                found[name, size] = lost
    assert found == {}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_barrier_in_light_or_dark(enter, places, size):
    axe, found = Axe().axe_script, {}
    for name, page in walk(enter, places, viewport=size, bypass_csp=True):
        page.evaluate(axe)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for theme, options in (("", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            told = page.evaluate(RUN, {"resultTypes": ["violations"], **options})
            grave = {
                one["id"]: [node["html"][:160] for node in one["nodes"][:3]]
                for one in told
                if one["impact"] in GRAVE
            }
            if grave:
                found[name, theme] = grave
    assert found == {}
