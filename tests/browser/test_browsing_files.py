"""A file audit signed by two people, and a material handed in by the unit and filed by the file room."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import names


def sign(page: Page, round_name: str, told: str = "已签署") -> None:
    """Say of every element what the file says, and sign."""
    for element in page.locator("details.element").all():
        declared = element.locator("summary").inner_text().split("填报：")[1].strip()
        must = "*" in element.locator("label").first.inner_text()
        if must and not declared.startswith("（空"):
            element.get_by_label("结论").select_option("一致")
            element.get_by_label("档案记载").fill(declared)
            element.get_by_label("依据材料").fill("干部履历表")
            element.get_by_label("页码").fill("3")
        elif must:
            element.get_by_label("结论").select_option("存疑")
            element.get_by_label("说明").fill("没有填报，待补")
        else:
            element.get_by_label("结论").select_option("不适用")
    page.get_by_role("button", name=f"签署{round_name}意见").click()
    expect(page.get_by_role("status").filter(has_text=told)).to_be_visible()


def test_an_audit_is_signed_by_two_reviewed_by_a_third_and_closed(enter, troubles):
    section, room, second = enter("ganbuke"), enter("danganshi"), enter("fuheyuan")
    section.goto("/people/")
    section.locator("#found td:nth-child(2) a").nth(30).click()
    section.get_by_role("link", name="档案", exact=True).last.click()
    section.get_by_label("审核事由").fill("本批动议")
    section.get_by_label("拟任职务").fill("镇长")
    section.get_by_role("button", name="提出审核").click()
    expect(section.get_by_role("heading", name="在审")).to_be_visible()
    sign(section, "初审")
    expect(section.locator("ol.plain li").first).to_contain_text("干部科")
    expect(section.get_by_text("本轮您不签署")).to_be_visible()

    room.goto("/files/")
    expect(room.locator("tbody tr", has_text="本批动议").first).to_contain_text("初审")
    room.goto(section.url)
    expect(room.get_by_role("heading", level=1)).to_contain_text("任前审核")
    troubles.expected.add(422)
    room.get_by_role("button", name="签署初审意见").click()
    expect(room.get_by_role("alert")).to_contain_text("还没有结论")
    sign(room, "初审")
    expect(room.locator("ol.plain li").first).to_contain_text("2 / 2")
    expect(room.get_by_text("本轮您不签署")).to_be_visible()
    expect(room.get_by_role("button", name=re.compile("签署"))).to_have_count(0)

    second.goto(section.url)
    sign(second, "复审", "已审结")
    expect(second.get_by_role("heading", name="审核结论")).to_be_visible()
    with second.context.expect_event("response", lambda response: response.url.endswith("/form/")) as form:
        second.get_by_role("link", name="审核确认表 pdf").click()
    assert form.value.headers["content-type"] == "application/pdf"


def test_a_material_is_handed_in_sent_back_and_filed(enter):
    contact, room = enter("lianluoyuan"), enter("danganshi")
    contact.goto("/people/")
    name = names(contact)[2]
    contact.locator("#found").get_by_role("link", name=name, exact=True).click()
    contact.get_by_role("link", name="档案", exact=True).last.click()
    contact.get_by_label("材料名称").fill("干部履历表")
    contact.get_by_label("类别").select_option("一 履历")
    contact.get_by_label("形成日期").fill("2026-05-20")
    contact.get_by_label("页数").fill("6")
    for check in ("材料齐全", "字迹清楚", "填写规范", "对象明确"):
        contact.get_by_label(check).check()
    contact.get_by_role("button", name="送档").click()
    expect(contact.get_by_role("heading", name="待归档")).to_be_visible()

    room.goto("/files/?view=materials")
    room.get_by_role("link", name=name).click()
    waiting = room.locator("section", has=room.get_by_role("heading", name="待归档"))
    waiting.get_by_role("button", name="归档", exact=True).click()
    expect(room.locator(".note.error")).to_be_visible()
    for check in ("内容真实", "手续完备"):
        waiting.get_by_label(check).check()
    waiting.get_by_role("button", name="归档", exact=True).click()
    expect(waiting).to_have_count(0)
    materials = room.locator("section", has=room.get_by_role("heading", name="档案材料"))
    expect(materials).to_contain_text("干部履历表")
    log = room.locator("section", has=room.get_by_role("heading", name="收转登记"))
    expect(log).to_contain_text("归档")
    expect(log).to_contain_text("单位联络员")
