"""The command line (命令行): every command works on a records folder, without a database."""

from __future__ import annotations

import csv
import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from ganbu.bench.commands import app as bench
from ganbu.errors import GanbuError, MisuseError
from ganbu.web.commands import app as installation

app = typer.Typer(
    help="干部（Ganbu）：按规则评估干部队伍，给出每个结果的理由。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
packs = typer.Typer(help="规则包：列出、检查、测试、统计覆盖。", no_args_is_help=True)
export = typer.Typer(help="导出。", no_args_is_help=True)

app.registered_commands += installation.registered_commands
app.add_typer(packs, name="packs")
app.add_typer(export, name="export")
app.add_typer(bench, name="bench")
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
    str, typer.Option("--engine", help="kernel（列式内核，默认）或 duckdb（SQL）；结果逐格相同")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="填写参数，如 --set 年限=8；可写多次")]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError as error:
        raise MisuseError(f"--as-of “{text}”应写作 2026-06-30") from error


def _records(folder: Path | None, vocabulary: Any = None, known_at: str = "") -> Any:
    """The record: the folder named, else the database of this installation, else the data folder."""
    from ganbu.records.folder import open_records
    from ganbu.web.setup import home, in_use, ready

    if folder is not None or not in_use():
        return open_records(folder or home(), vocabulary)
    ready()
    from ganbu.records.local import vocabulary as ours
    from ganbu.records.snapshot import snapshot

    return snapshot(history=bool(known_at), vocabulary=vocabulary or ours())


def _pair(item: str, option: str, form: str) -> tuple[str, str]:
    key, sign, value = item.partition("=")
    if not (key and sign and value):
        raise MisuseError(f"{option} “{item}”应写作 {form}")
    return key, value


def _settings(items: list[str] | None) -> dict[str, Any]:
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


def _print(table: Table) -> None:
    out.print(table, soft_wrap=False)


def _json(value: Any, path: Path | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if path is None:
        sys.stdout.write(text + "\n")
    else:
        path.write_text(text + "\n", "utf-8")


@packs.command("list")
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
        _print(table)


def _chosen(paths: list[str] | None) -> list[Any]:
    from ganbu.engine.policy import load_pack, shipped_packs

    wanted: list[Any] = list(paths or []) or [folder for _, folder in shipped_packs()]
    return [load_pack(item) for item in wanted]


@packs.command("check")
def packs_check(
    path: Annotated[
        list[str] | None, typer.Argument(help="规则包文件夹或规则文件；不写则检查随附的全部规则包")
    ] = None,
) -> None:
    """检查规则包：名称、类型、日期、依据、待填写的值、分档空档。"""
    from ganbu.engine.check import check_pack

    wrong = 0
    for pack in _chosen(path):
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


@packs.command("test")
def packs_test(
    path: Annotated[list[str] | None, typer.Argument(help="规则包；不写则测试随附的全部规则包")] = None,
    only: Annotated[str, typer.Option("--only", help="只运行名称含此文字的情景")] = "",
) -> None:
    """运行规则包的情景。"""
    from ganbu.engine.scenario import run_scenario

    bodies = [
        (pack, body) for pack in _chosen(path) for body in pack.scenarios if only in str(body["scenario"])
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


@packs.command("coverage")
def packs_coverage(
    catalogue: Annotated[Path, typer.Argument(help="机制目录 mechanisms.jsonl")],
    fmt: Annotated[str, typer.Option("--format", help="table 或 json")] = "table",
) -> None:
    """统计机制覆盖：被规则引用、并由通过的情景验证过的机制，按能力字母列出。"""
    _one_of(fmt, "table", "json")
    from ganbu.engine.coverage import coverage
    from ganbu.engine.scenario import run_scenarios

    chosen = _chosen(None)
    results = [
        result
        for pack in track(chosen, "规则包", console=err, transient=True)
        for result in run_scenarios(pack)
    ]
    found = coverage(catalogue, chosen, results)
    if fmt == "json":
        _json(
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
    _print(table)
    if found.unknown:
        out.print("目录里没有的编号：" + "、".join(found.unknown))


def _find(policy: str, pack: str) -> Any:
    """The pack that holds a policy: the one named, or the only shipped one that has it."""
    from ganbu.engine.policy import load_pack
    from ganbu.errors import PackError, nearest

    if pack:
        return load_pack(pack)
    holders = [p for p in _chosen(None) if policy in p.policies]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise PackError(
            f"规则“{policy}”在几个规则包里都有", hint="请写 --pack " + " 或 ".join(p.name for p in holders)
        )
    raise PackError(
        f"没有规则“{policy}”", hint=nearest(policy, [n for p in _chosen(None) for n in p.policies])
    )


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

    if fmt not in ("table", "json", "csv", "parquet"):
        raise MisuseError("--format 只能是 table、json、csv、parquet")
    day, values = _day(as_of), _settings(settings)
    groups: list[tuple[Any, list[str] | None]] = []
    for item in policy:
        if not pack and (Path(item).exists() or (packs_root() / item / "pack.yaml").exists()):
            groups.append((load_pack(item), None))
        else:
            groups.append((_find(item, pack), [item]))
    found: dict[str, tuple[str, Any]] = {}
    store: Store | None = None
    for holder, names in groups:
        chosen = (
            _records(records, holder.vocabulary, known_at)
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


def _one_of(fmt: str, *allowed: str) -> None:
    if fmt not in allowed:
        raise MisuseError(f"--format 只能是 {'、'.join(allowed)}")


def _emit(found: dict[str, tuple[str, Any]], fmt: str, path: Path | None) -> None:
    from ganbu.engine.explain import plain
    from ganbu.formats.tables import inert

    if fmt == "json":
        _json(
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
    _print(table)
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
    _one_of(fmt, "text", "json")
    from ganbu.engine.explain import explain as tell

    holder = _find(policy, pack)
    told = tell(
        holder,
        policy,
        subject,
        _records(records, holder.vocabulary, known_at),
        _day(as_of),
        known_at,
        {policy: _settings(settings)},
    )
    if fmt == "json":
        _json(told.as_json(), None)
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
    _one_of(fmt, "table", "json")
    from ganbu.engine.explain import plain, shown
    from ganbu.engine.policy import load_pack
    from ganbu.engine.simulate import simulate as compare

    holder, other = _find(policy, pack), load_pack(against)
    found = compare(
        holder,
        policy,
        other,
        _records(records, holder.vocabulary, known_at),
        _day(as_of),
        known_at,
        by,
        {policy: _settings(settings)},
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
        _json(
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
    _print(totals)
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
    _print(table)
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
    _one_of(fmt, "table", "json")
    from ganbu.engine.explain import plain, shown
    from ganbu.engine.policy import load_pack
    from ganbu.engine.whatif import Overlay, Sandbox

    holder = load_pack(pack)
    sandbox = Sandbox(holder, _records(records, holder.vocabulary, known_at), _day(as_of), only, known_at)
    found = sandbox.ask(Overlay.read(overlay), near).differences
    if fmt == "json":
        rows = [
            {"policy": d.policy, "kind": d.kind, "subject": d.subject, "name": d.name, "before": None if d.before is None else {k: plain(v) for k, v in d.before.items()}, "after": None if d.after is None else {k: plain(v) for k, v in d.after.items()}}
            for d in found
        ]  # fmt: skip
        _json({"differences": rows}, None)
        return
    table = Table("规则", "对象", "名称", "现在", "假设", title=f"变化 {len(found)} 个", title_justify="left")
    for one in found[:60]:
        before, after = _differing(one.before, one.after)
        table.add_row(one.policy, one.subject, one.name, *("，".join(f"{k} {shown(v)}" for k, v in side.items()) or "—" for side in (before, after)))  # fmt: skip
    _print(table)
    if len(found) > 60:
        out.print(f"其余 {len(found) - 60} 个用 --format json 看", highlight=False)


def _differing(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What differs between two findings, the outcome always."""
    one, two = before or {}, after or {}
    keys = [
        k for k in {**one, **two} if k == "结果" or (one.get(k) != two.get(k) and k not in ("对象", "名称"))
    ]
    return [{k: side[k] for k in keys if side.get(k) not in (None, [], "")} for side in (one, two)]


@app.command()
def vocabulary(
    fmt: Annotated[str, typer.Option("--format", help="table、json 或 markdown")] = "table",
    register: Annotated[str, typer.Option("--register", help="只看一张登记表")] = "",
) -> None:
    """列出登记表、字段、类型、国家代码、密级和共用事实。"""
    _one_of(fmt, "table", "json", "markdown")
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
        _json(
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
        _print(table)
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

    people = dict(_pair(item, "--person", "文件名=编号") for item in person or [])
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
        _print(table)
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


Where = Annotated[str, typer.Option("--where", help="条件，如 \"性别 = '女' and 年龄 <= 35\"；不写则全部")]
ToFolder = Annotated[Path, typer.Option("--out", help="写到哪个文件夹，每人一份")]


def _people(records: Any, where: str, as_of: str) -> list[str] | None:
    from ganbu.engine.select import select

    return select(records, where, _day(as_of)) if where else None


def _forms(kind: str, target: Path, records: Path | None, where: str, as_of: str) -> None:
    from ganbu.records.exporting import export_forms
    from ganbu.web.setup import form_layout, home

    opened = _records(records)
    count = export_forms(opened, _people(opened, where, as_of), target, kind, form_layout(home()))
    out.print(f"已写出 {count} 份到 {target}", highlight=False)


@export.command("lrmx")
def lrmx(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 lrmx。"""
    _forms("lrmx", target, records, where, as_of)


@export.command("docx")
def docx(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 docx；字号随简历行数缩小，放在两页之内。"""
    _forms("docx", target, records, where, as_of)


@export.command("pdf")
def pdf(target: ToFolder, records: Folder = None, where: Where = "", as_of: Day = "") -> None:
    """导出任免审批表 pdf；要有一种中文字体。"""
    _forms("pdf", target, records, where, as_of)


@export.command("xlsx")
def xlsx(
    target: Annotated[Path, typer.Option("--out", help="写到哪个 xlsx 文件")],
    records: Folder = None,
    where: Where = "",
    as_of: Day = "",
) -> None:
    """导出工作簿：每张登记表一页，列名是中文名，导入模板的格式。"""
    from ganbu.records.exporting import export_workbook

    opened = _records(records)
    rows = export_workbook(opened, _people(opened, where, as_of), target)
    out.print(f"已写出 {rows} 行到 {target}", highlight=False)


@export.command("generic")
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

    opened = _records(records)
    chosen = _people(opened, where, as_of)
    if person:
        known = {str(row["person_id"]) for row in opened.rows("person")}
        if missing := [key for key in person if key not in known]:
            raise MisuseError(f"--person {missing[0]}：没有编号为“{missing[0]}”的人员")
        chosen = [key for key in person if chosen is None or key in chosen]
    photos: Any = None
    if records is None and in_use():
        from ganbu.records.queries import images_of

        photos = images_of
    count = export_generic(opened, chosen, target, date.today(), photos)
    out.print(f"已写出 {count} 人到 {target}", highlight=False)


@export.command("records")
def records_folder(
    target: Annotated[Path, typer.Option("--out", help="写到哪个文件夹")],
    records: Folder = None,
    fmt: Annotated[str, typer.Option("--format", help="parquet、csv 或 jsonl")] = "parquet",
    history: Annotated[bool, typer.Option("--history", help="连同已失效的记录")] = False,
) -> None:
    """导出档案文件夹：全部登记表，读回来与原档案相等。"""
    _one_of(fmt, "parquet", "csv", "jsonl")
    if target.exists() and any(target.iterdir()):
        raise MisuseError(f"{target} 不是空文件夹，不会覆盖")
    _records(records, known_at="now" if history else "").write(target, fmt)
    out.print(f"已写出到 {target}", highlight=False)


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


if __name__ == "__main__":
    main()
