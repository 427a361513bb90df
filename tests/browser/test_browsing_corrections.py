"""A field corrected with a reason; a unit asks for a correction, and the cadre section decides."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import fact, names


def test_a_correction_keeps_what_was_there(enter):
    page = enter("ganbuke")
    page.goto("/people/")
    page.locator("#found td:nth-child(2) a").nth(20).click()
    before = fact(page, "出生地")
    page.get_by_role("link", name="更正", exact=True).click()
    page.get_by_label("出生地").fill("乌有市新区")
    page.get_by_role("button", name="登记").click()
    assert page.get_by_label("事由和依据").evaluate("e => e.validity.valueMissing"), (
        "no correction without a reason"
    )
    page.get_by_label("事由和依据").fill("户籍底册，虚组函〔2026〕1号")
    page.get_by_role("button", name="登记").click()
    assert fact(page, "出生地") == "乌有市新区"
    page.get_by_role("link", name="变更与查看记录").click()
    line = page.locator("tbody tr").first
    expect(line.locator("del")).to_have_text(before)
    expect(line).to_contain_text("乌有市新区")
    expect(line).to_contain_text("虚组函〔2026〕1号")


def test_a_unit_asks_and_the_cadre_section_grants(enter):
    contact, section = enter("lianluoyuan"), enter("ganbuke")
    contact.goto("/people/")
    name = names(contact)[1]
    contact.locator("#found").get_by_role("link", name=name, exact=True).click()
    contact.get_by_role("link", name="申请更正").click()
    wanted = contact.get_by_label("哪一项")
    choice = wanted.locator("option", has_text="健康状况").first
    wanted.select_option(choice.get_attribute("value"))
    contact.get_by_label("应为").fill("良好")
    contact.get_by_label("理由和依据").fill("本人提交的体检表")
    contact.get_by_role("button", name="提交").click()
    expect(contact.locator("article").first).to_contain_text("待办")

    section.goto("/")
    section.get_by_role("link", name="件更正申请待办").click()
    asked = section.locator("article", has_text=name)
    expect(asked).to_contain_text("本人提交的体检表")
    asked.get_by_label("答复").fill("已核对")
    asked.get_by_role("button", name="同意并登记").click()
    section.get_by_role("link", name="已同意").click()
    section.locator("article", has_text="本人提交的体检表").get_by_role("link", name=name).click()
    assert fact(section, "健康状况") == "良好"

    contact.reload()
    expect(contact.locator("article").first).to_contain_text("已同意")
    expect(contact.locator("article").first).to_contain_text("已核对")
