"""What the commands share (公共约定): options, consoles, where the record is, how a result is told."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ganbu.errors import MisuseError

out, err = Console(), Console(stderr=True)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--records",
        help="档案文件夹（每张登记表一个 csv、jsonl 或 parquet 文件）；不写则用数据库，没有数据库时用 ganbu-data",
    ),
]
Day = Annotated[str, typer.Option("--as-of", help="基准日，如 2026-06-30；不写为今天")]
Known = Annotated[str, typer.Option("--known-at", help="已知时点：只看此时已经登记的记录")]
PackOption = Annotated[
    str, typer.Option("--pack", help="规则所在的规则包，如 jiangsu/nantong；不写则在全部规则包里找")
]
Format = Annotated[str, typer.Option("--format", help="table、json、csv 或 parquet")]
Out = Annotated[Path | None, typer.Option("--out", help="写到文件")]
EngineOption = Annotated[
    str, typer.Option("--engine", help="kernel（列式内核，默认）、duckdb 或 spark（集群）；结果逐格相同")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="填写参数，如 --set 年限=8；可写多次")]


def day_of(text: str) -> date:
    """The day of `--as-of`, today where it is not given. Raises MisuseError."""
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError as error:
        raise MisuseError(f"--as-of “{text}”应写作 2026-06-30") from error


def opened(folder: Path | None, vocabulary: Any = None, known_at: str = "") -> Any:
    """The record: the folder named, else the database of this installation, else the data folder."""
    from ganbu.records.folder import open_records
    from ganbu.web.setup import home, in_use, ready

    if folder is not None or not in_use():
        return open_records(folder or home(), vocabulary)
    ready()
    from ganbu.records.local import vocabulary as ours
    from ganbu.records.snapshot import snapshot

    return snapshot(history=bool(known_at), vocabulary=vocabulary or ours())


def pair(item: str, option: str, form: str) -> tuple[str, str]:
    """Both sides of an option written `key=value`. Raises MisuseError."""
    key, sign, value = item.partition("=")
    if not (key and sign and value):
        raise MisuseError(f"{option} “{item}”应写作 {form}")
    return key, value


def settings_of(items: list[str] | None) -> dict[str, Any]:
    """The parameters of `--set`: exact numbers where they are numbers. Raises MisuseError."""
    from fractions import Fraction

    found: dict[str, Any] = {}
    for item in items or []:
        key, sign, value = item.partition("=")
        if not sign:
            raise MisuseError(f"--set “{item}”应写作 参数=值")
        try:
            found[key] = Fraction(value)
        except (ValueError, ZeroDivisionError):
            found[key] = value
    return found


def show(table: Table) -> None:
    """A table on standard output."""
    out.print(table, soft_wrap=False)


def print_json(value: Any, path: Path | None) -> None:
    """One JSON document, to a file or on standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if path is None:
        sys.stdout.write(text + "\n")
    else:
        path.write_text(text + "\n", "utf-8")


def packs_of(paths: list[str] | None) -> list[Any]:
    """The packs named, or all shipped ones. Raises PackError."""
    from ganbu.engine.policy import load_pack, shipped_packs

    wanted: list[Any] = list(paths or []) or [folder for _, folder in shipped_packs()]
    return [load_pack(item) for item in wanted]


def found_in(policy: str, pack: str) -> Any:
    """The pack that holds a policy: the one named, or the only shipped one that has it."""
    from ganbu.engine.policy import load_pack, shipped_policies
    from ganbu.errors import PackError, nearest

    if pack:
        return load_pack(pack)
    names = shipped_policies()
    holders = [load_pack(folder) for folder in names.get(policy, ())]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise PackError(
            f"规则“{policy}”在几个规则包里都有", hint="请写 --pack " + " 或 ".join(p.name for p in holders)
        )
    raise PackError(f"没有规则“{policy}”", hint=nearest(policy, names))


def one_of(fmt: str, *allowed: str) -> None:
    """Refuse a format that a command has not. Raises MisuseError."""
    if fmt not in allowed:
        raise MisuseError(f"--format 只能是 {'、'.join(allowed)}")
