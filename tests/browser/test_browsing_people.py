"""A newcomer of the cadre section: in, find somebody, look, look back in time, print, see what is masked."""

from __future__ import annotations

import re
from datetime import date

from playwright.sync_api import expect
from pypinyin import Style, lazy_pinyin

from tests.browser.conftest import fact, names, sign_in


def test_a_newcomer_finds_somebody_by_initials_looks_around_and_prints(enter):
    page = enter()
    page.goto("/")
    expect(page).to_have_url(re.compile("/login/"))
    expect(page.get_by_text("演示账号")).to_be_visible()
    sign_in(page, "ganbuke")
    expect(page.get_by_role("heading", level=1)).to_have_text("干部科，您好")

    page.get_by_role("link", name="人员", exact=True).click()
    name = names(page)[2]
    initials = "".join(lazy_pinyin(name, style=Style.FIRST_LETTER))
    page.get_by_role("searchbox", name="查找").press_sequentially(initials, delay=20)
    expect(page).to_have_url(re.compile(f"q={initials}"))
    assert name in names(page) and len(names(page)) < 20, "the list follows the typing, without a button"
    page.locator("#found").get_by_role("link", name=name, exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    picture = page.get_by_role("img", name="任职与学习经历图")
    expect(picture).to_be_visible()
    bars = picture.locator("rect").count()
    assert bars >= 2 and picture.locator("text").first.is_visible()

    page.locator("summary", has_text="看哪一天").click()
    page.get_by_label("看哪一天").fill("2015-01-01")
    page.get_by_role("button", name="看", exact=True).click()
    expect(page.get_by_text("现在看到的是 2015-01-01 的情况")).to_be_visible()
    assert 0 < picture.locator("rect").count() <= bars
    page.get_by_role("link", name="回到今天").click()
    expect(page.get_by_label("看哪一天")).to_have_value(f"{date.today()}")

    form = page.get_by_role("link", name="任免审批表 pdf")
    with page.context.expect_event("response", lambda response: "/form/pdf/" in response.url) as printed:
        form.click()
    assert printed.value.status == 200 and printed.value.headers["content-type"] == "application/pdf"
    assert page.request.get(form.get_attribute("href")).body().startswith(b"%PDF-")

    assert re.fullmatch(r"\d{4}＊+\d{3}[\dX]", fact(page, "身份证号").split("\n")[0])
    page.locator("dd", has_text="＊＊").get_by_text("看原值").click()
    page.get_by_label("查看理由").first.fill("核对任免审批表")
    page.get_by_role("button", name="查看", exact=True).first.click()
    expect(page.get_by_text("查看已留痕")).to_be_visible()
    assert re.search(r"\d{17}[\dX]", fact(page, "身份证号"))
    page.get_by_role("link", name="变更与查看记录").click()
    expect(page.get_by_text("查看原值").first).to_be_visible()


def test_somebody_is_found_while_typing_on_a_day_of_the_past(enter):
    page = enter("ganbuke")
    page.goto("/people/?as_of=2015-01-01")
    page.get_by_role("searchbox").fill("zhang")
    page.wait_for_url("**q=zhang**")
    assert "as_of=2015-01-01" in page.url
    expect(page.locator("tbody tr").first).to_be_visible()
