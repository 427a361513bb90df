"""Commands that run rules (评估): evaluate, explain, simulate, whatif; none of them writes."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ganbu.cli.options import (
    Day,
    EngineOption,
    Folder,
    Format,
    Known,
    Out,
    PackOption,
    Settings,
    day_of,
    err,
    found_in,
    one_of,
    opened,
    out,
    print_json,
    settings_of,
    show,
)
from ganbu.errors import MisuseError

app = typer.Typer()


WRITTEN = ("json", "csv", "parquet")  # what results are written to a file as


@app.command()
def evaluate(
    policy: Annotated[list[str], typer.Argument(help="规则名，或规则包（评估其中全部规则）")],
    records: Folder = None,
    as_of: Day = "",
    known_at: Known = "",
    pack: PackOption = "",
    fmt: Format = "table",
    path: Out = None,
    settings: Settings = None,
    engine: EngineOption = "kernel",
) -> None:
    """评估规则：对每个人（班子、单位……）给出结果、依据和缺少的事实。"""
    from ganbu.engine.policy import load_pack, packs_root
    from ganbu.engine.run import Store
    from ganbu.engine.run import evaluate as run

    if fmt not in ("table", *WRITTEN):
        raise MisuseError(f"--format 只能是 table、{'、'.join(WRITTEN)}")
    if path is not None and fmt == "table":
        fmt = path.suffix.lower().removeprefix(".")
        if fmt not in WRITTEN:
            raise MisuseError(f"写 --out 时要写 --format（{'、'.join(WRITTEN)}），或让文件名以 .json 等结尾")
    day, values = day_of(as_of), settings_of(settings)
    groups: list[tuple[Any, list[str] | None]] = []
    for item in policy:
        if not pack and (Path(item).exists() or (packs_root() / item / "pack.yaml").exists()):
            groups.append((load_pack(item), None))
        else:
            groups.append((found_in(item, pack), [item]))
    found: dict[str, tuple[str, Any]] = {}
    store: Store | None = None
    for holder, names in groups:
        chosen = (
            opened(records, holder.vocabulary, known_at)
            if store is None or holder.head.get("registers")
            else None
        )
        store = Store(chosen) if chosen is not None else store
        assert store is not None
        parameters = {
            p: {k: v for k, v in values.items() if k in (holder.reach[p].body.get("parameters") or {})}
            for p in holder.reach
        }
        result = run(holder, store, day, names, known_at, parameters, engine=engine)
        for name in result.names:
            found[name if name not in found else f"{holder.title} {name}"] = (name, result)
        for skipped in result.skipped if fmt == "table" else []:
            err.print(f"[dim]未运行 {skipped.policy}：{skipped.reason}[/]", highlight=False, soft_wrap=True)
    known = {
        key for holder, _ in groups for p in holder.reach.values() for key in p.body.get("parameters") or {}
    }
    _known_settings(values, known)
    _emit(found, fmt, path)


def _known_settings(values: dict[str, Any], known: set[str]) -> None:
    from ganbu.errors import nearest

    for key in values:
        if key not in known:
            raise MisuseError(f"--set {key}=…：没有这个参数。{nearest(key, known)}")


def _emit(found: dict[str, tuple[str, Any]], fmt: str, path: Path | None) -> None:
    from ganbu.engine.explain import plain
    from ganbu.formats.tables import inert

    if fmt == "json":
        print_json(
            {
                shown: [{k: plain(v) for k, v in row.items()} for row in run.rows(name)]
                for shown, (name, run) in found.items()
            },
            path,
        )
        return
    for shown, (name, run) in found.items():
        if fmt == "table":
            _show(name, run)
            continue
        table = run.table(name)
        target = path if path is not None and len(found) == 1 else (path or Path()) / f"{shown}.{fmt}"
        if path is None and fmt == "parquet":
            raise MisuseError("--format parquet 要写 --out")
        if fmt == "parquet":
            import pyarrow.parquet as pq

            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, target)
        else:
            if path is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
            stream = sys.stdout if path is None else target.open("w", encoding="utf-8-sig", newline="")
            writer = csv.writer(stream)
            writer.writerow(["规则", *table.column_names])
            for row in table.to_pylist():
                writer.writerow(
                    [
                        name,
                        *(
                            inert(v) if isinstance(v, str) else v
                            for v in (
                                "" if v is None else "；".join(v) if isinstance(v, list) else v
                                for v in row.values()
                            )
                        ),
                    ]
                )
            if path is not None:
                stream.close()


def _show(name: str, run: Any, limit: int = 60) -> None:
    from ganbu.engine.explain import shown

    rows = run.rows(name)
    quiet = {"无", "未到龄", "符合", "已覆盖", "达标", "已履行", "逐级", "未到期", "不参加"}
    marked = [row for row in rows if row["结果"] not in quiet] or rows
    table = Table(title=f"{name}（{run.as_of}）", title_justify="left", title_style="bold")
    columns = [
        key
        for key in dict.fromkeys(k for row in marked for k in row)
        if any(row.get(key) not in (None, "", []) for row in marked[:limit])
    ]
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in marked[:limit]:
        table.add_row(
            *(
                "、".join(row[c])
                if isinstance(row.get(c), list)
                else ""
                if row.get(c) is None
                else shown(row[c])
                for c in columns
            )
        )
    show(table)
    counts = "，".join(f"{word} {n}" for word, n in run.counts(name).items())
    more = (
        f"；表中略去 {len(rows) - min(len(marked), limit)} 个，用 --format csv 看全部"
        if len(rows) > min(len(marked), limit)
        else ""
    )
    out.print(f"共 {len(rows)} 个：{counts}{more}", highlight=False)


@app.command()
def explain(
    policy: Annotated[str, typer.Argument(help="规则名")],
    subject: Annotated[str, typer.Argument(help="编号或姓名")],
    records: Folder = None,
    as_of: Day = "",
    known_at: Known = "",
    pack: PackOption = "",
    fmt: Annotated[str, typer.Option("--format", help="text 或 json")] = "text",
    settings: Settings = None,
) -> None:
    """解释一个结果：每一条款、所见事实、背后的记录、参数及其依据。"""
    one_of(fmt, "text", "json")
    from ganbu.engine.explain import explain as reasons_of

    holder = found_in(policy, pack)
    told = reasons_of(
        holder,
        policy,
        subject,
        opened(records, holder.vocabulary, known_at),
        day_of(as_of),
        known_at,
        {policy: settings_of(settings)},
    )
    if fmt == "json":
        print_json(told.as_json(), None)
    else:
        out.print(told.prose(), markup=False, highlight=False, soft_wrap=True)


@app.command()
def simulate(
    policy: Annotated[str, typer.Argument(help="规则名")],
    against: Annotated[str, typer.Option("--against", help="对照的规则包或规则文件")],
    records: Folder = None,
    as_of: Day = "",
    known_at: Known = "",
    pack: PackOption = "",
    by: Annotated[str, typer.Option("--by", help="按结果中的哪一列分组合计（规则的 show 里要有）")] = "",
    fmt: Annotated[str, typer.Option("--format", help="table 或 json")] = "table",
    settings: Settings = None,
) -> None:
    """试算：同一批人，两个版本的规则，谁变了、怎么变、合计多少。`--set` 改的是对照版本的参数。"""
    one_of(fmt, "table", "json")
    from ganbu.engine.explain import plain, shown
    from ganbu.engine.policy import load_pack
    from ganbu.engine.simulate import simulate as compare

    holder, other = found_in(policy, pack), load_pack(against)
    found = compare(
        holder,
        policy,
        other,
        opened(records, holder.vocabulary, known_at),
        day_of(as_of),
        known_at,
        by,
        {policy: settings_of(settings)},
    )
    if fmt == "json":
        changes = [
            {
                "subject": c.subject,
                "name": c.name,
                "before": c.before,
                "after": c.after,
                "value_before": plain(c.value_before),
                "value_after": plain(c.value_after),
                "group": c.group,
            }
            for c in found.changes
        ]
        moves = [{"before": a, "after": b, "count": n} for (a, b), n in found.moves.items()]
        print_json(
            {
                "policy": policy,
                "against": found.against,
                "before": found.before,
                "after": found.after,
                "moves": moves,
                "changes": changes,
            },
            None,
        )
        return
    totals = Table("结果", "现行", "对照", title=f"{policy}：现行与 {found.against}", title_justify="left")
    for word in dict.fromkeys([*found.before, *found.after]):
        totals.add_row(word, str(found.before.get(word, 0)), str(found.after.get(word, 0)))
    show(totals)
    table = Table(
        "对象",
        "名称",
        "现行",
        "对照",
        "数值变化",
        title=f"变化 {len(found.changes)} 个",
        title_justify="left",
    )
    for change in found.changes[:60]:
        values = (
            ""
            if change.value_before == change.value_after
            else f"{shown(change.value_before)} → {shown(change.value_after)}"
        )
        table.add_row(change.subject, change.name, change.before, change.after, values)
    show(table)
    for group, among in found.groups.items() if by else []:
        out.print(
            f"{by} {group}：" + "，".join(f"{a}→{b} {n}" for (a, b), n in among.items()), highlight=False
        )


@app.command()
def whatif(
    pack: Annotated[str, typer.Argument(help="规则包：名称、文件夹或规则文件")],
    overlay: Annotated[Path, typer.Argument(help="假设：一份 yaml，写 add、change、drop、parameters")],
    records: Folder = None,
    as_of: Day = "",
    known_at: Known = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="只看这条规则；可写多次")] = None,
    near: Annotated[
        bool, typer.Option("--near", help="只看假设说到的人、机构、班子，不看别人的名次变化")
    ] = False,
    fmt: Annotated[str, typer.Option("--format", help="table 或 json")] = "table",
) -> None:
    """推演：假设这样任免、离开或换参数，哪些结论会变，怎么变。什么都不写。"""
    one_of(fmt, "table", "json")
    from ganbu.engine.explain import plain, shown
    from ganbu.engine.policy import load_pack
    from ganbu.engine.whatif import Overlay, Sandbox

    holder = load_pack(pack)
    sandbox = Sandbox(holder, opened(records, holder.vocabulary, known_at), day_of(as_of), only, known_at)
    found = sandbox.ask(Overlay.read(overlay), near).differences
    if fmt == "json":
        rows = [
            {"policy": d.policy, "kind": d.kind, "subject": d.subject, "name": d.name, "before": None if d.before is None else {k: plain(v) for k, v in d.before.items()}, "after": None if d.after is None else {k: plain(v) for k, v in d.after.items()}}
            for d in found
        ]  # fmt: skip
        print_json({"differences": rows}, None)
        return
    table = Table("规则", "对象", "名称", "现在", "假设", title=f"变化 {len(found)} 个", title_justify="left")
    for one in found[:60]:
        before, after = _differing(one.before, one.after)
        table.add_row(one.policy, one.subject, one.name, *("，".join(f"{k} {'、'.join(v) if isinstance(v, list) else shown(v)}" for k, v in side.items()) or "—" for side in (before, after)))  # fmt: skip
    show(table)
    if len(found) > 60:
        out.print(f"其余 {len(found) - 60} 个用 --format json 看", highlight=False)


def _differing(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What differs between two findings, the outcome always."""
    one, two = before or {}, after or {}
    keys = [
        k for k in {**one, **two} if k == "结果" or (one.get(k) != two.get(k) and k not in ("对象", "名称"))
    ]
    return [{k: side[k] for k in keys if side.get(k) not in (None, [], "")} for side in (one, two)]
