"""Commands about packs (规则包): list, check, test, coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from ganbu.cli.options import err, one_of, out, packs_of, print_json, show

app = typer.Typer(help="规则包：列出、检查、测试、统计覆盖。", no_args_is_help=True)


@app.command("list")
def packs_list(path: Annotated[str, typer.Argument(help="规则包；不写则列出随附的全部规则包")] = "") -> None:
    """列出规则包及其规则、状态和依据。"""
    from ganbu.engine.policy import load_pack, shipped_packs

    for pack in [load_pack(path)] if path else [load_pack(folder) for _, folder in shipped_packs()]:
        table = Table(
            title=f"{pack.name}  {pack.title}",
            title_justify="left",
            title_style="bold",
            show_header=bool(path),
            box=None,
        )
        for column in ("规则", "种类", "状态", "依据"):
            table.add_column(column, overflow="fold")
        for policy in pack.policies.values():
            state = "关闭" if policy.status == "off" else "待填写" if policy.required else "执行"
            table.add_row(policy.name, policy.kind, state, "、".join(policy.sources[:4]))
        show(table)


@app.command("check")
def packs_check(
    path: Annotated[
        list[str] | None, typer.Argument(help="规则包文件夹或规则文件；不写则检查随附的全部规则包")
    ] = None,
) -> None:
    """检查规则包：名称、类型、日期、依据、待填写的值、分档空档。"""
    from ganbu.engine.check import check_pack

    wrong = 0
    for pack in packs_of(path):
        remarks = check_pack(pack)
        errors = [r for r in remarks if r.severity == "error"]
        wrong += len(errors)
        out.print(
            f"{'[red]✗[/]' if errors else '[green]✓[/]'} {pack.name}：{len(pack.policies)} 条规则，{len(pack.scenarios)} 个情景",
            highlight=False,
        )
        for remark in remarks:
            out.print(f"  {remark}", markup=False, highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@app.command("test")
def packs_test(
    path: Annotated[list[str] | None, typer.Argument(help="规则包；不写则测试随附的全部规则包")] = None,
    only: Annotated[str, typer.Option("--only", help="只运行名称含此文字的情景")] = "",
) -> None:
    """运行规则包的情景。"""
    from ganbu.engine.scenario import run_scenario

    bodies = [
        (pack, body) for pack in packs_of(path) for body in pack.scenarios if only in str(body["scenario"])
    ]
    passed = failed = 0
    for pack, body in track(bodies, "情景", console=err, transient=True, disable=len(bodies) < 10):
        result = run_scenario(pack, body)
        if result.passed:
            passed += 1
            continue
        failed += 1
        out.print(
            f"[red]✗[/] {result.pack} · {result.name}  [dim]{result.place}[/]",
            highlight=False,
            soft_wrap=True,
        )
        for failure in result.failures:
            out.print(f"    {failure}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"{passed} 个情景通过" + (f"，[red]{failed} 个不通过[/]" if failed else ""), highlight=False)
    if failed:
        raise typer.Exit(1)


@app.command("coverage")
def packs_coverage(
    catalogue: Annotated[Path, typer.Argument(help="机制目录 mechanisms.jsonl")],
    path: Annotated[list[str] | None, typer.Argument(help="规则包；不写则统计随附的全部规则包")] = None,
    fmt: Annotated[str, typer.Option("--format", help="table 或 json")] = "table",
) -> None:
    """统计机制覆盖：被规则引用、并由通过的情景验证过的机制，按能力字母列出。"""
    one_of(fmt, "table", "json")
    from ganbu.engine.coverage import coverage
    from ganbu.engine.scenario import run_scenarios

    chosen = packs_of(path)
    results = [
        result
        for pack in track(chosen, "规则包", console=err, transient=True)
        for result in run_scenarios(pack)
    ]
    found = coverage(catalogue, chosen, results)
    if fmt == "json":
        print_json(
            {
                "total": found.total,
                "cited": found.cited,
                "exercised": found.exercised,
                "share": round(found.share, 4),
                "ids": found.ids,
                "unknown": found.unknown,
            },
            None,
        )
        return
    table = Table("能力", "机制", "引用", "验证", "比例")
    for letter, total in found.total.items():
        done = found.exercised.get(letter, 0)
        table.add_row(letter, str(total), str(found.cited.get(letter, 0)), str(done), f"{done / total:.1%}")
    table.add_section()
    table.add_row(
        "合计",
        str(sum(found.total.values())),
        str(sum(found.cited.values())),
        str(sum(found.exercised.values())),
        f"{found.share:.1%}",
    )
    show(table)
    if found.unknown:
        out.print("目录里没有的编号：" + "、".join(found.unknown))
