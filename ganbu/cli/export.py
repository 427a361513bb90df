"""Commands that write files from the record (导出)."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbu.cli.options import Day, Folder, day_of, one_of, opened, out
from ganbu.errors import MisuseError

app = typer.Typer(help="导出。", no_args_is_help=True)

Where = Annotated[str, typer.Option("--where", help="条件，如 \"性别 = '女' and 年龄 <= 35\"；不写则全部")]
ToFolder = Annotated[Path, typer.Option("--out", help="写到哪个文件夹，每人一份")]


def _people(records: Any, where: str, as_of: str) -> list[str] | None:
    from ganbu.engine.select import select

    return select(records, where, day_of(as_of)) if where else None


def _forms(kind: str, target: Path, records: Path | None, where: str, as_of: str) -> None:
    from ganbu.records.exporting import export_forms
    from ganbu.web.setup import form_layout, home

    held = opened(records)
    count = export_forms(held, _people(held, where, as_of), target, kind, form_layout(home()))
    out.print(f"已写出 {count} 份到 {target}", highlight=False)


@app.command("lrmx")
def lrmx(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 lrmx。"""
    _forms("lrmx", target, records, where, as_of)


@app.command("docx")
def docx(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 docx；字号随简历行数缩小，放在两页之内。"""
    _forms("docx", target, records, where, as_of)


@app.command("pdf")
def pdf(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 pdf；要有一种中文字体。"""
    _forms("pdf", target, records, where, as_of)


@app.command("xlsx")
def xlsx(
    target: Annotated[Path, typer.Option("--out", help="写到哪个 xlsx 文件")],
    records: Folder = None,
    where: Where = "",
    as_of: Day = "",
) -> None:
    """导出工作簿：每张登记表一页，列名是中文名，导入模板的格式。"""
    from ganbu.records.exporting import export_workbook

    held = opened(records)
    rows = export_workbook(held, _people(held, where, as_of), target)
    out.print(f"已写出 {rows} 行到 {target}", highlight=False)


@app.command("generic")
def generic(
    target: Annotated[Path, typer.Option("--out", help="写到哪个 zip 文件")],
    records: Folder = None,
    where: Where = "",
    as_of: Day = "",
    person: Annotated[
        list[str] | None, typer.Option("--person", help="只导出这个编号的人员；可写多次")
    ] = None,
) -> None:
    """导出通用格式 zip：人员、所在机构和照片在一个文件里，可以交给全国公务员管理信息系统，也可以再导入。"""
    from ganbu.records.exporting import export_generic
    from ganbu.web.setup import in_use

    held = opened(records)
    chosen = _people(held, where, as_of)
    if person:
        known = {str(row["person_id"]) for row in held.rows("person")}
        if missing := [key for key in person if key not in known]:
            raise MisuseError(f"--person {missing[0]}：没有编号为“{missing[0]}”的人员")
        chosen = [key for key in person if chosen is None or key in chosen]
    photos: Any = None
    if records is None and in_use():
        from ganbu.records.queries import images_of

        photos = images_of
    count = export_generic(held, chosen, target, date.today(), photos)
    out.print(f"已写出 {count} 人到 {target}", highlight=False)


@app.command("records")
def records_folder(
    target: Annotated[Path, typer.Option("--out", help="写到哪个文件夹")],
    records: Folder = None,
    fmt: Annotated[str, typer.Option("--format", help="parquet、csv 或 jsonl")] = "parquet",
    history: Annotated[bool, typer.Option("--history", help="连同已失效的记录")] = False,
) -> None:
    """导出档案文件夹：全部登记表，读回来与原档案相等。"""
    one_of(fmt, "parquet", "csv", "jsonl")
    if target.exists() and any(target.iterdir()):
        raise MisuseError(f"{target} 不是空文件夹，不会覆盖")
    opened(records, known_at="now" if history else "").write(target, fmt)
    out.print(f"已写出到 {target}", highlight=False)
