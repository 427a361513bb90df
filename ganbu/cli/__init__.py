"""The command line (命令行): every command works on a records folder, without a database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ganbu.bench.commands import app as bench
from ganbu.cli import export, packs, province, record, rules
from ganbu.cli.options import err, out
from ganbu.errors import GanbuError, MisuseError
from ganbu.web.commands import app as installation

app = typer.Typer(
    help="干部（Ganbu）：按规则评估干部队伍，给出每个结果的理由。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (rules.app, record.app, installation):
    app.registered_commands += part.registered_commands
app.add_typer(packs.app, name="packs")
app.add_typer(export.app, name="export")
app.add_typer(bench, name="bench")
app.add_typer(province.app, name="province")


@app.command()
def demo(
    people: Annotated[int, typer.Option("--people", help="人数")] = 1200,
    folder: Annotated[Path, typer.Option("--dir", help="数据文件夹")] = Path("ganbu-data"),
    seed: Annotated[int, typer.Option("--seed", help="随机种子；同一种子得同一个县")] = 2026,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="是否接着提供网页服务")] = True,
    port: Annotated[int, typer.Option("--port", help="网页端口")] = 8000,
) -> None:
    """编造一个县，导入任免审批表，评估全部规则包，打印报告，提供网页。没有一个真实的人。"""
    import shutil

    from ganbu.demo import build, report
    from ganbu.demo.build import BASE
    from ganbu.demo.database import fill
    from ganbu.synthetic import DEFAULT_DAY

    built = build(folder, people, seed, DEFAULT_DAY, out)
    fill(folder, folder / BASE, out)
    shutil.rmtree(folder / BASE)
    report(built, out)
    from ganbu.web.context import DEMO_ACCOUNTS, DEMO_PASSWORD

    out.print(f"[bold]网页[/] http://127.0.0.1:{port}，演示账号的密码都是 {DEMO_PASSWORD}：", highlight=False)
    out.print("　".join(f"{name} {label}" for name, label in DEMO_ACCOUNTS), highlight=False)
    if not serve:
        where = "" if str(folder) == "ganbu-data" else f"GANBU_HOME={folder} "
        out.print(f"[dim]启动网页：{where}ganbu serve[/]", highlight=False)
        return
    out.print("[dim]按 Ctrl-C 停止[/]", highlight=False)
    from ganbu.web.server import serve as run

    run("127.0.0.1", port)


def fail(error: Exception) -> None:
    """One clear message on standard error."""
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
    except BrokenPipeError:
        sys.exit(0)
