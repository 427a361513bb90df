"""The query builder by mouse and by keyboard, the list, the cross table, a cell opened, the workbook."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from ganbu.formats.tables import read_sheets


def counted(page: Page) -> int:
    """How many the page says it found."""
    return int(re.search(r"共 (\d+) 人", page.get_by_role("status").inner_text())[1])


def test_conditions_become_a_list_a_cross_table_and_a_workbook(enter):
    page = enter("ganbuke")
    page.goto("/query/")
    first = page.locator(".query-line").first
    first.get_by_label("项目").select_option(label="性别")
    first.get_by_label("值", exact=True).fill("女")
    page.get_by_role("button", name="查询").click()
    women = counted(page)
    assert women > 0

    page.get_by_role("link", name="查询", exact=True).click()
    first.get_by_label("项目").select_option(label="性别")
    offered = page.locator(f"datalist#{first.get_by_label('值', exact=True).get_attribute('list')} option")
    assert "女" in [option.get_attribute("value") for option in offered.all()], (
        "the words of the code table are offered"
    )
    first.get_by_label("值", exact=True).fill("女")
    page.get_by_role("button", name="加一行").focus()
    page.keyboard.press("Enter")
    second = page.locator(".query-line").nth(1)
    second.get_by_label("项目").select_option(label="出生日期")
    second.get_by_label("项目").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(second.get_by_label("比较")).to_have_value(">=")
    page.keyboard.press("Tab")
    page.keyboard.type("1975-01-01")
    page.keyboard.press("Enter")
    younger = counted(page)
    assert 0 < younger < women

    with page.expect_download() as told:
        page.get_by_role("link", name="导出 xlsx").click()
    (sheet,) = read_sheets("list.xlsx", Path(told.value.path()).read_bytes())
    filled = [row for row in sheet.rows if any(row)]
    assert len(filled) == younger + 2, "the head, the people, and who took it when"

    page.get_by_role("link", name="交叉统计").click()
    expect(page.locator("tfoot td.num").nth(-1)).to_have_text(str(younger))
    page.get_by_label("行", exact=True).select_option(label="最高学历")
    page.get_by_role("button", name="统计", exact=True).click()
    expect(page.locator("tfoot td.num").nth(-1)).to_have_text(str(younger))
    cell = page.locator("tbody td.num a").first
    number = int(cell.inner_text())
    cell.click()
    assert counted(page) == number
    expect(page.locator("table.stack tbody tr")).to_have_count(number)


def test_a_wrong_value_is_told_beside_the_builder(enter):
    page = enter("ganbuke")
    page.goto("/query/")
    page.get_by_text("规则语言", exact=True).click()
    page.locator("#condition").fill("性别 = '女' and 年龄 >= 30")
    page.get_by_role("button", name="按此查询").click()
    assert counted(page) > 0
    page.get_by_label("方案名称").fill("三十岁以上女干部")
    page.get_by_role("button", name="保存方案").click()
    expect(page.get_by_role("link", name="三十岁以上女干部")).to_be_visible()
