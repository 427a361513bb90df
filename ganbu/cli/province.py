"""Many counties at once (全省汇总): gather their packages, evaluate, hand the results back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ganbu.cli.options import (
    Day,
    EngineOption,
    Format,
    Known,
    day_of,
    err,
    one_of,
    out,
    pair,
    print_json,
    show,
)

app = typer.Typer(help="全省汇总：归集各县的数据包，一起评估，结果按县发还。", no_args_is_help=True)
WORDS = {
    "shared": "几县都有、合为一人",
    "repeated": "几县都报、只计一次的行",
    "differences": "各县说法不一处",
    "alike": "疑似同一人、未合并",
}


@app.command("gather")
def province_gather(
    packages: Annotated[list[str], typer.Argument(help="县名=数据包；数据包是档案文件夹，或它的 zip")],
    into: Annotated[Path, typer.Option("--into", help="汇总到哪个文件夹；新建或为空")],
    packs: Annotated[
        list[str] | None, typer.Option("--pack", help="规则包：各县的数据包里有它自建的登记表；可写多次")
    ] = None,
    fmt: Format = "table",
) -> None:
    """归集各县的数据包：编号前加县名，同一身份证号合为一人，按县分区存为 Parquet。"""
    from ganbu.engine.policy import words_of
    from ganbu.errors import MisuseError
    from ganbu.records.province import gather

    one_of(fmt, "table", "json")
    named = [pair(item, "数据包", "县名=文件夹") for item in packages]
    if len({region for region, _ in named}) < len(named):
        raise MisuseError("同一个县名写了两次")
    words = words_of(packs or [])
    found = gather({region: Path(path) for region, path in named}, into, words)
    if fmt == "json":
        print_json(found.__dict__, None)
        return
    table = Table("登记表", "行数")
    for register, rows in found.rows.items():
        table.add_row(words.registers[register].label, f"{rows:,}")
    show(table)
    out.print(f"{len(found.regions)} 个县，汇总到 {into}", highlight=False, soft_wrap=True)
    for region, absent in found.absent.items():
        out.print(
            f"{region}没有这些登记表，按没有记录算：{'、'.join(absent)}", highlight=False, soft_wrap=True
        )
    for key, label in WORDS.items():
        if count := getattr(found, key):
            out.print(f"{label}：{count:,}", highlight=False)
    if found.differences or found.alike:
        err.print(
            f"[dim]逐条见 {into / '_differences.parquet'}、{into / '_alike.parquet'}[/]",
            highlight=False,
            soft_wrap=True,
        )


@app.command("evaluate")
def province_evaluate(
    folder: Annotated[Path, typer.Argument(help="汇总文件夹")],
    packs: Annotated[list[str], typer.Argument(help="规则包，可写多个")],
    into: Annotated[Path, typer.Option("--out", help="结果写到哪个文件夹：每县一个子文件夹")],
    as_of: Day = "",
    known_at: Known = "",
    engine: EngineOption = "kernel",
    fmt: Format = "table",
) -> None:
    """评估汇总的档案，结果按县发还；排名、配额是全省一起算的。"""
    from ganbu.engine.policy import load_pack
    from ganbu.engine.run import evaluate
    from ganbu.errors import MisuseError
    from ganbu.records.province import Gathered, hand_back

    one_of(fmt, "table", "json")
    if into.exists() and any(into.iterdir()):
        raise MisuseError(f"{into} 不是空文件夹，不会覆盖")
    day, written, policies = day_of(as_of), dict[str, int](), 0
    for name in packs:
        pack = load_pack(name)
        store = Gathered(folder, pack.vocabulary)
        run = evaluate(pack, store, day, known_at=known_at, engine=engine)
        for region, rows in hand_back(run, store, into).items():
            written[region] = written.get(region, 0) + rows
        policies += len(run.names)
        run.close()
    if fmt == "json":
        print_json({"engine": engine, "policies": policies, "rows": written}, None)
        return
    table = Table("县", "结果行数")
    for region, rows in written.items():
        table.add_row(region, f"{rows:,}")
    show(table)
    out.print(f"{policies} 条规则（{engine}），结果在 {into}", highlight=False, soft_wrap=True)
