"""By keyboard alone; in English and back; dark and in large type until told otherwise."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from ganbu.web.context import DEMO_PASSWORD
from tests.browser.conftest import names

RING = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"


def tab_to(page: Page, script: str) -> None:
    """Go on by Tab until something has the focus, which must show at every stop."""
    for _stop in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(RING), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if page.evaluate(f"document.activeElement.{script}"):
            return
    raise AssertionError(f"sixty stops and not there: {script}")


def test_signing_in_and_finding_somebody_takes_no_mouse(enter):
    page = enter()
    page.goto("/login/")
    page.keyboard.type("lingdao")
    page.keyboard.press("Tab")
    page.keyboard.type(DEMO_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("领导，您好")
    page.keyboard.type("局长")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/people/"))
    assert names(page)

    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="跳到正文")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "matches('input[type=search]')")
    page.keyboard.press("Control+A")
    page.keyboard.type("书记")
    expect(page).to_have_url(re.compile("q=%E4%B9%A6%E8%AE%B0"))
    expect(page.locator("#found td:nth-child(5)").first).to_contain_text("书记")
    tab_to(page, "closest('#found td') !== null && document.activeElement.matches('a')")
    name = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_english_and_back(enter):
    page = enter("jianduke")
    page.goto("/people/?q=局长")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("navigation", name="Main")).to_contain_text("People")
    expect(page).to_have_url(re.compile("/people/"))
    page.goto("/help/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("heading", level=1)).to_have_text("帮助")


def test_dark_and_large_hold_from_page_to_page(enter):
    page = enter("jianduke")
    page.goto("/")
    paper, size = (
        "getComputedStyle(document.body).backgroundColor",
        "getComputedStyle(document.documentElement).fontSize",
    )
    light, small = page.evaluate(paper), page.evaluate(size)
    page.get_by_role("button", name="深色").click()
    page.get_by_role("button", name="大字").click()
    page.goto("/help/")
    assert page.evaluate(paper) != light and sum(map(int, re.findall(r"\d+", page.evaluate(paper)))) < 120
    assert float(page.evaluate(size)[:-2]) > float(small[:-2])
    expect(page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="深色").click()
    page.get_by_role("button", name="大字").click()
    page.reload()
    assert (page.evaluate(paper), page.evaluate(size)) == (light, small)
    expect(page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "false")
