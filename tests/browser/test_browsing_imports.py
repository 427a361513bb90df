"""A zip with damaged forms: dropped, previewed, a choice made, applied, taken back; the auditor sees every step."""

from __future__ import annotations

import base64
import io
import re
import zipfile

from playwright.sync_api import expect

from tests.browser.conftest import fact, find

NEWCOMER = "欧阳初试"
DROP = """([encoded, name]) => {
  const carried = new DataTransfer(), bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
  carried.items.add(new File([bytes], name, { type: "application/zip" }));
  const zone = document.querySelector(".drop");
  for (const kind of ["dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
  }
}"""


def parcel(home) -> tuple[bytes, str]:
    """A zip of three forms: somebody new, somebody known whose native place differs, one cut short."""
    with zipfile.ZipFile(home / "试导入.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    known = next(name for name in files if name.startswith("0001"))
    text = files[known].decode("utf-8-sig")
    (name,) = re.findall("<XingMing>(.*?)</XingMing>", text)[:1]
    differs = re.sub("<JiGuan>.*?</JiGuan>", "<JiGuan>乌有市</JiGuan>", text)
    new = text.replace(name, NEWCOMER)
    new = re.sub("<ChuShengNianYue>.*?</ChuShengNianYue>", "<ChuShengNianYue>198803</ChuShengNianYue>", new)
    new = re.sub("<ShenFenZheng>.*?</ShenFenZheng>", "<ShenFenZheng></ShenFenZheng>", new)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"{NEWCOMER}.lrmx", new)
        archive.writestr(known, differs)
        archive.writestr("截断.lrmx", text.encode()[: len(text.encode()) // 2])
    return made.getvalue(), name


def test_damaged_forms_are_dropped_previewed_applied_and_taken_back(enter, site):
    content, name = parcel(site.home)
    page = enter("ganbuke")
    find(page, name, name)
    person, before = page.url, fact(page, "籍贯")
    assert before != "乌有市"

    page.get_by_role("link", name="导入", exact=True).click()
    page.evaluate(DROP, [base64.b64encode(content).decode(), "来件.zip"])
    expect(page.locator("[data-told]")).to_contain_text("1 个文件")
    page.get_by_role("button", name="读取并预览").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("来件.zip")
    results = page.get_by_role("navigation", name="按结果")
    expect(results).to_contain_text("新人 1")
    expect(results).to_contain_text("无变化 1")
    expect(results).to_contain_text("读不了 1")
    expect(page.get_by_text("不是完整的 XML")).to_be_visible()
    with page.expect_download() as told:
        page.get_by_role("link", name="逐条下载 xlsx").click()
    assert told.value.suggested_filename.endswith(".xlsx")

    expect(page.get_by_text("与原记录不同，待选")).to_be_visible()
    page.get_by_label("按文件 籍贯").check()
    page.get_by_role("button", name="记下选择").click()
    expect(page.get_by_text("已记下选择")).to_be_visible()
    expect(page.get_by_label("按文件 籍贯")).to_be_checked()
    page.get_by_role("button", name="全部登记").click()
    undo = page.get_by_role("button", name="整批撤销")
    expect(undo).to_be_visible()
    batch = page.url

    find(page, "oycs", NEWCOMER)
    expect(page.get_by_text(f"{NEWCOMER}.lrmx")).to_be_visible()
    page.goto(person)
    assert fact(page, "籍贯") == "乌有市"

    page.goto(batch)
    page.on("dialog", lambda dialog: dialog.accept())
    undo.click()
    expect(page.get_by_text("已整批撤销，档案恢复原样")).to_be_visible()
    page.goto(person)
    assert fact(page, "籍贯") == before
    page.goto("/people/")
    page.get_by_role("searchbox", name="查找").press_sequentially("oycs")
    expect(page.get_by_text("没有找到“oycs”")).to_be_visible()

    auditor = enter("shenji")
    auditor.goto("/audit/")
    entries = auditor.locator("tbody")
    for step in ("上传文件", "导入", "撤销"):
        expect(entries.get_by_text(step, exact=True).first).to_be_visible()
    expect(entries).to_contain_text("来件.zip")
    auditor.get_by_role("button", name="核验审计链").click()
    expect(auditor.get_by_text("一条不缺、一字未改")).to_be_visible()
