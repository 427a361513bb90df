"""Commands of an installation (运维命令): serve, migrate, create-admin, verify, rotate-keys, backup, restore, work, adopt, runs, replay."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ganbu.errors import GanbuError, MisuseError
from ganbu.web.setup import migrate as bring_up
from ganbu.web.setup import ready, start

out = Console()
app = typer.Typer()

ADMINS = {"system": "system_admin", "security": "security_admin", "audit": "audit_admin"}


@app.command()
def migrate() -> None:
    """建立或升级数据库。"""
    start()
    bring_up(quiet=False)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option("--host", help="监听地址；对外服务请放在 HTTPS 代理之后")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="端口")] = 8000,
    workers: Annotated[int, typer.Option("--workers", help="网页进程数")] = 2,
) -> None:
    """提供网页服务，连同后台任务。"""
    start()
    from ganbu.access.models import Account
    from ganbu.web.server import serve as run

    bring_up()
    if not Account.objects.exists():
        raise GanbuError("还没有账号：请先用 ganbu create-admin 建立系统管理员、安全保密管理员和安全审计员")
    out.print(f"http://{host}:{port}", highlight=False)
    run(host, port, workers)


@app.command()
def work(once: Annotated[bool, typer.Option("--once", help="做完排队的任务就结束")] = False) -> None:
    """执行后台任务：导入、每日评估。`serve` 已自带一个。"""
    ready()
    from ganbu.web.worker import run

    try:
        run(once)
    except KeyboardInterrupt:
        sys.exit(0)


@app.command("create-admin")
def create_admin(
    username: Annotated[str, typer.Argument(help="账号")],
    kind: Annotated[
        str, typer.Option("--kind", help="system 系统管理员、security 安全保密管理员、audit 安全审计员")
    ],
    name: Annotated[str, typer.Option("--name", help="姓名；不写同账号")] = "",
) -> None:
    """建立三员之一的账号；密码从终端读入（或环境变量 GANBU_PASSWORD）。"""
    if kind not in ADMINS:
        raise MisuseError(f"--kind 只能是 {'、'.join(ADMINS)}")
    start()
    from ganbu.access.services import create_account, grant

    bring_up()
    password = os.environ.get("GANBU_PASSWORD") or getpass.getpass("密码：")
    account = create_account(username, name or username, password)
    grant(account, ADMINS[kind])
    out.print(f"已建立 {account}", highlight=False)


@app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="账号")],
    factor: Annotated[bool, typer.Option("--factor", help="同时重设二次验证")] = False,
) -> None:
    """给账号一个新密码，下次登录须更改；三员的密码只能这样重设。从终端读入（或环境变量 GANBU_PASSWORD）。"""
    ready()
    from ganbu.access.models import Account
    from ganbu.access.services import forget_factor, set_password

    account = Account.objects.filter(username__iexact=username).first()
    if account is None:
        raise MisuseError(f"没有账号“{username}”")
    set_password(account, os.environ.get("GANBU_PASSWORD") or getpass.getpass("密码："), by_owner=False)
    if factor:
        forget_factor(account)
    out.print(f"已重设 {account}", highlight=False)


@app.command()
def adopt(
    packs: Annotated[list[str], typer.Argument(help="采用的规则包，按先后；不写则列出现在采用的")] = [],  # noqa: B006
) -> None:
    """采用规则包：网页上评估它们，它们自建的登记表可以填报。"""
    start()
    from ganbu.records.local import adopt as take
    from ganbu.records.local import adopted

    bring_up()
    if packs:
        take(packs)
    out.print("、".join(adopted()), highlight=False)


@app.command()
def verify() -> None:
    """核验：审计链没有断，档案每一行、每次评估的全部结果与当时的指纹相符。改动一个字节也能查出。"""
    ready()
    from ganbu.access import audit
    from ganbu.findings import kept
    from ganbu.records import writing

    wrong = [*audit.verify(), *writing.verify(), *kept.verify()]
    for line in wrong[:100]:
        out.print(f"[red]✗[/] {line}", highlight=False, soft_wrap=True)
    if wrong:
        raise GanbuError(f"核验不通过：{len(wrong)} 处")
    count, head = audit.head()
    out.print(f"审计 {count} 条、档案全部相符。最后一条的指纹：{head}", highlight=False, soft_wrap=True)


@app.command()
def runs() -> None:
    """列出保存的评估：编号、基准日、规则数、结果行数、规则包有没有改过。"""
    ready()
    from ganbu.engine.keep import pack_fingerprint
    from ganbu.engine.policy import load_pack
    from ganbu.findings.models import EvaluationRun

    table = Table("编号", "评估时间", "基准日", "规则", "结果行数", "规则包")
    now: dict[str, str] = {}
    for run in EvaluationRun.objects.exclude(kept=[]):
        for name in run.rules:
            try:
                now[name] = now.get(name) or pack_fingerprint(load_pack(name))
            except GanbuError:
                now[name] = "没有了"
        changed = [name for name, told in run.rules.items() if now[name] != told]
        table.add_row(
            str(run.pk), f"{run.made_at:%Y-%m-%d %H:%M}", str(run.as_of), str(len(run.kept)),
            f"{sum(one[2] for one in run.kept):,}", f"改过：{'、'.join(changed)}" if changed else "没有改过",
        )  # fmt: skip
    out.print(table)


@app.command()
def replay(
    number: Annotated[int, typer.Argument(help="评估的编号，见 ganbu runs")],
) -> None:
    """重放一次评估：按当时的基准日、当时已知的档案再算一遍，与当时的结果逐条比对。"""
    ready()
    from ganbu.findings import kept
    from ganbu.findings.models import EvaluationRun

    run = EvaluationRun.objects.filter(pk=number).first()
    if run is None:
        raise MisuseError(f"没有编号为 {number} 的评估，见 ganbu runs")
    if not run.kept:
        raise MisuseError(f"评估 {number} 没有保存全部结果，不能重放")
    total = differing = 0
    for one in kept.replay(run):
        total += 1
        if not one.same:
            differing += 1
            some = "、".join(one.changed[:5]) + ("等" if len(one.changed) > 5 else "")
            out.print(
                f"[red]✗[/] {one.pack} {one.policy}：{len(one.changed)} 个对象不同：{some}",
                highlight=False,
                soft_wrap=True,
            )
    if differing:
        raise GanbuError(f"{total} 条规则中有 {differing} 条与当时不同（规则包改过的，见 ganbu runs）")
    out.print(f"{total} 条规则，结果与当时完全相同", highlight=False)


@app.command("rotate-keys")
def rotate_keys() -> None:
    """更换字段密钥：用新钥匙重新加密全部密文；内容不变，指纹不变。"""
    ready()
    from ganbu.records.rotation import rotate

    out.print(f"已更换为第 {rotate()} 号密钥，重新加密完毕", highlight=False)


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="备份文件（.zip）；密钥不在其中，须另存")]) -> None:
    """备份：数据库、上传文件和模板，一个压缩包；服务运行时也可以做。"""
    ready()
    from ganbu.web.backups import backup as make

    made = make(target)
    out.print(
        f"已备份到 {target}（{made >> 10} KB）；字段密钥不在备份里，请另存 GANBU_KEYS 文件夹", highlight=False
    )


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="备份文件")],
    replace: Annotated[bool, typer.Option("--replace", help="替换现有的数据库")] = False,
) -> None:
    """恢复：先核对备份完整，再整体替换；请先停止服务。"""
    start()
    from ganbu.web.backups import restore as bring

    bring(source, replace)
    out.print("已恢复；请运行 ganbu verify 核验", highlight=False)
