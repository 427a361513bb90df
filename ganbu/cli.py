"""The command line (命令行): every command works on a records folder, without a database."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ganbu.errors import GanbuError, MisuseError

app = typer.Typer(help="干部（Ganbu）：按规则评估干部队伍，给出每个结果的理由。", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
packs = typer.Typer(help="规则包：查看、检查、测试、统计覆盖。", no_args_is_help=True)
app.add_typer(packs, name="packs")
out, err = Console(), Console(stderr=True)


@packs.command("list")
def packs_list(path: Annotated[Path | None, typer.Argument(help="规则包；不写则列出随附的全部规则包")] = None) -> None:
    """列出规则包及其规则、状态和依据。"""
    from ganbu.engine.policy import load_pack, shipped_packs

    chosen = [load_pack(path)] if path else [load_pack(folder) for _, folder in shipped_packs()]
    for pack in chosen:
        out.print(f"[bold]{pack.name}[/]  {pack.title}")
        for policy in pack.policies.values():
            state = "关闭" if policy.status == "off" else "待填写" if policy.required else ""
            out.print(f"  {policy.name}  [dim]{policy.kind}[/]  {state}  [dim]{'、'.join(policy.sources[:6])}[/]")


@packs.command("check")
def packs_check(path: Annotated[list[Path] | None, typer.Argument(help="规则包文件夹或规则文件；不写则检查随附的全部规则包")] = None) -> None:
    """检查规则包：名称、类型、日期、依据、待填写的值、分档空档。"""
    from ganbu.engine.check import check_pack
    from ganbu.engine.policy import load_pack, shipped_packs

    wrong = 0
    for item in path or [folder for _, folder in shipped_packs()]:
        pack = load_pack(item)
        remarks = check_pack(pack)
        errors = [r for r in remarks if r.severity == "error"]
        wrong += len(errors)
        out.print(f"{'[red]✗[/]' if errors else '[green]✓[/]'} {pack.name}：{len(pack.policies)} 条规则，{len(pack.scenarios)} 个情景")
        for remark in remarks:
            out.print(f"  {remark}", markup=False, highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@packs.command("test")
def packs_test(
    path: Annotated[list[Path] | None, typer.Argument(help="规则包；不写则测试随附的全部规则包")] = None,
    only: Annotated[str, typer.Option("--only", help="只运行名称含此文字的情景")] = "",
) -> None:
    """运行规则包的情景。"""
    from ganbu.engine.policy import load_pack, shipped_packs
    from ganbu.engine.scenario import run_scenarios

    passed = failed = 0
    for item in path or [folder for _, folder in shipped_packs()]:
        for result in run_scenarios(load_pack(item), only):
            if result.passed:
                passed += 1
                continue
            failed += 1
            out.print(f"[red]✗[/] {result.pack} · {result.name}  [dim]{result.place}[/]", highlight=False)
            for failure in result.failures:
                out.print(f"    {failure}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"{passed} 个情景通过" + (f"，[red]{failed} 个不通过[/]" if failed else ""))
    if failed:
        raise typer.Exit(1)


def fail(error: Exception) -> None:
    """One clear message on standard error."""
    err.print(f"[red]错误：[/]{error}" if not isinstance(error, GanbuError) else "", end="")
    if isinstance(error, GanbuError):
        err.print("[red]错误[/]：", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line: exit code 1 for wrong input or rules, 2 for misuse."""
    try:
        app()
    except MisuseError as error:
        fail(error)
        sys.exit(2)
    except GanbuError as error:
        fail(error)
        sys.exit(1)


__all__ = ["Any", "Table", "app", "date", "main"]
