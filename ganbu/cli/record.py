"""Commands about the record (档案): the vocabulary, imports and their undoing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from ganbu.cli.options import err, one_of, out, pair, print_json, show
from ganbu.errors import MisuseError

app = typer.Typer()


@app.command()
def vocabulary(
    fmt: Annotated[str, typer.Option("--format", help="table、json 或 markdown")] = "table",
    register: Annotated[str, typer.Option("--register", help="只看一张登记表")] = "",
) -> None:
    """列出登记表、字段、类型、国家代码、密级和共用事实。"""
    one_of(fmt, "table", "json", "markdown")
    from ganbu.errors import RecordsError, nearest
    from ganbu.vocabulary import load_vocabulary
    from ganbu.vocabulary.document import document

    words = load_vocabulary()
    chosen = list(words.registers.values())
    if register:
        one = words.find(register)
        if one is None:
            raise RecordsError(f"没有登记表“{register}”。{nearest(register, [r.label for r in chosen])}")
        chosen = [one]
    if fmt == "markdown":
        sys.stdout.write(document(words, chosen if register else None))
        return
    if fmt == "json":
        print_json(
            {
                "registers": {
                    r.name: {
                        "label": r.label, "subject": r.subject, "happened": r.happened, "open": r.open, "secrecy": r.secrecy,
                        "fields": {f.name: {"label": f.label, "type": f.type_text, "national": f.national, "secrecy": f.secrecy} for f in r.fields.values()},
                    }
                    for r in chosen
                },
                "codes": {c.name: {"label": c.label, "standard": c.standard, "values": dict(c.values), "order": list(c.order), "closed": c.closed} for c in words.codes.values()},
                "facts": words.facts,
            },
            None,
        )  # fmt: skip
        return
    for item in chosen:
        about = [
            f"关于{words.registers[item.subject].label}" if item.subject else "",
            f"发生：{item.fields[item.happened].label}" if item.happened else "",
            "开放" if item.open else "",
        ]
        table = Table(
            "字段",
            "英文名",
            "类型",
            "国家代码",
            title=f"{item.label}（{item.name}）{'，'.join(a for a in about if a)}",
            title_justify="left",
            title_style="bold",
        )
        for spec in item.fields.values():
            table.add_row(
                spec.label + (" 密" if spec.secrecy != "internal" else ""),
                spec.name,
                spec.type_text,
                spec.national,
            )
        show(table)
        for name, text in words.facts.get(item.name, {}).items():
            out.print(f"  事实 {name}：{text}", markup=False, highlight=False)


@app.command("import")
def import_files(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="lrmx、lrm、信息采集表或导入模板（xls、xlsx）、通用格式 zip，含有它们的文件夹或 zip，或另一个档案文件夹"
        ),
    ],
    into: Annotated[
        Path | None,
        typer.Option("--into", help="导入到哪个档案文件夹；不写则导入数据库，没有数据库时用 ganbu-data"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只预览，不写入")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="问题清单写到这个 csv")] = None,
    person: Annotated[
        list[str] | None,
        typer.Option("--person", help="指定文件是谁：文件名=编号，新人写 文件名=新；可写多次"),
    ] = None,
    prefer_new: Annotated[
        bool, typer.Option("--prefer-new", help="与原记录不同时按文件登记（原值存于历史）；不写则保留原值")
    ] = False,
) -> None:
    """导入任免审批表、信息采集表、通用格式：要么全部写入，要么什么都不写；每一处规整都有记录，可整批撤销。"""
    from ganbu.records.importing import import_paths
    from ganbu.web.setup import home, in_use

    people = dict(pair(item, "--person", "文件名=编号") for item in person or [])
    if into is None and in_use():
        wrong = [
            _told(found, report, dry_run) for found in _into_database(paths, people, prefer_new, dry_run)
        ]
        if any(wrong):
            raise typer.Exit(1)
        return
    with Progress(console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task("读取", total=None)
        found = import_paths(
            paths,
            into or home(),
            dry_run,
            lambda name: shown.update(task, advance=1, description=name),
            people,
            prefer_new,
        )
    if _told(found, report, dry_run):
        raise typer.Exit(1)


def _into_database(paths: list[Path], people: dict[str, str], prefer_new: bool, dry_run: bool) -> Any:
    from ganbu.web.setup import ready

    ready()
    from ganbu.records import batches
    from ganbu.records.importing import has_records

    for path in paths:
        if path.is_dir() and has_records(path):
            yield batches.import_folder(path, prefer_new, dry_run)
        else:
            yield batches.import_files(path, people, prefer_new, dry_run)


def _told(found: Any, report: Path | None, dry_run: bool) -> bool:
    """Print what an import did; whether something could not be read or placed."""
    if report is not None:
        found.write(report)
    head = "预览" if dry_run else f"批次 {found.batch}"
    out.print(
        f"{head}：{found.files} 份文件（{found.unreadable} 份读不了，{found.undecided} 份认不准是谁），"
        f"新增 {found.new} 人，更新 {found.changed} 人，未变 {found.unchanged} 人",
        highlight=False,
    )
    if found.rows:
        out.print("登记：" + "，".join(f"{name} {n}" for name, n in found.rows.items()), highlight=False)
    if found.issues:
        table = Table("问题", "条数", "例")
        for code, count in found.counts.items():
            first = next(issue for issue in found.issues if issue.code == code)
            table.add_row(code, str(count), f"{first.file} {first.field}：{first.message}")
        show(table)
    errors = [issue for issue in found.issues if issue.severity == "error"]
    for issue in errors[:20]:
        err.print(
            f"[red]错误[/] {issue.file} {issue.field}：{issue.message} {issue.raw}",
            highlight=False,
            soft_wrap=True,
        )
    return bool(found.unreadable or found.undecided)


@app.command("undo-import")
def undo(
    batch: Annotated[str, typer.Argument(help="批次；不写则列出可撤销的批次")] = "",
    into: Annotated[
        Path | None,
        typer.Option("--into", help="档案文件夹；不写则撤销数据库里的批次，没有数据库时用 ganbu-data"),
    ] = None,
) -> None:
    """撤销一次导入，档案恢复原样。"""
    from ganbu.records.importing import batches, undo_import
    from ganbu.web.setup import home, in_use, ready

    if into is None and in_use():
        ready()
        from ganbu.records.batches import applied
        from ganbu.records.batches import undo as undo_batch

        found = applied()
        if not batch:
            out.print("\n".join(f"{b.pk} {b.title}" for b in found) or "没有可以撤销的导入", highlight=False)
            return
        chosen = next((b for b in found if str(b.pk) == batch), None)
        if chosen is None:
            raise MisuseError(f"没有可以撤销的批次“{batch}”")
        undo_batch(chosen)
    else:
        if not batch:
            out.print("\n".join(batches(into or home())) or "没有可以撤销的导入", highlight=False)
            return
        undo_import(into or home(), batch)
    out.print(f"已撤销 {batch}", highlight=False)
