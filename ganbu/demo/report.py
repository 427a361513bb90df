"""The report of the demonstration (演示报告): what a department would want to see first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from ganbu.demo.build import Built
from ganbu.engine.explain import explain, shown
from ganbu.engine.policy import load_pack, shipped_packs
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate

MOST = 8


def report(built: Built, console: Console) -> None:
    """Evaluate every shipped pack over the district and print what stands out."""
    store = Store(Records.open(built.folder))
    runs: dict[str, Run] = {}
    unfilled = off = 0
    for name, folder in track(shipped_packs(), "评估全部规则包", console=console, transient=True):
        run = evaluate(load_pack(folder), store, built.as_of)
        runs[name] = run
        off += sum("关闭" in s.reason for s in run.skipped)
        unfilled += sum("填写" in s.reason or "REQUIRED" in s.reason for s in run.skipped)
    rules = sum(len(run.names) for run in runs.values())
    console.rule("[bold]虚构县演示报告")
    _imported(built, console)
    console.print(
        f"基准日 {built.as_of}；{built.people} 名虚构干部；{len(runs)} 个规则包、{rules} 条规则已评估，{unfilled} 条待本地填写，{off} 条已关闭。\n",
        highlight=False,
    )
    _teams(runs["demo"], console)
    _exchange(runs["national"], console)
    _retirement(runs["national"], console)
    _cards(runs["demo"], console)
    _ranks(runs["demo"], runs["national"], console)
    _unknown(runs["national"], console)
    _one_reason(runs["national"], store, built, console)
    _further(built.folder, console)


def _imported(built: Built, console: Console) -> None:
    found = built.report
    console.print(f"导入 {found.files} 份任免审批表：新增 {found.new} 人，更新 {found.changed} 人，未变 {found.unchanged} 人；问题 {len(found.issues)} 条"
                  f"（{'，'.join(f'{code} {n}' for code, n in list(found.counts.items())[:4])}）。", highlight=False)  # fmt: skip
    console.print(f"逐条见 {built.folder}/_imports/{found.batch}/report.csv\n", highlight=False)


def _table(console: Console, title: str, columns: list[str], rows: list[list[Any]], total: int) -> None:
    table = Table(title=f"{title}（{total}）", title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:MOST]:
        table.add_row(*("" if cell is None else shown(cell) for cell in row))
    console.print(table)
    if total > MOST:
        console.print(f"[dim]另有 {total - MOST} 个[/]", highlight=False)
    console.print()


def _teams(run: Run, console: Console) -> None:
    rows = [row for row in run.rows("领导班子年龄结构") if row["结果"] == "不达标"]
    whole = next(iter(run.rows("领导班子年龄结构")), None)
    _table(
        console,
        "亮红灯的班子",
        ["班子", "人数", "女干部", "缺什么"],
        [[r["名称"], r["成员数"], r["女干部数"], "、".join(r["依据"])] for r in rows],
        len(rows),
    )
    if whole:
        key = "三分之二以上班子有四十岁左右成员"
        if whole[key] == "不能判定":
            unclear = [r["名称"] for r in run.rows("领导班子年龄结构") if r["缺少"]]
            told = f"不能判定：{'、'.join(unclear[:3])} 有成员缺出生日期，补齐后才能算出比例"
        elif whole[f"{key}·比例"] is None:
            told = f"{whole[key]}（个别班子成员缺出生日期，不影响这个结论）"
        else:
            told = (
                f"{whole[key]}，现为 {shown(whole[f'{key}·比例'])}，还差 {shown(whole[f'{key}·还差'])} 个班子"
            )
        console.print(f"{key}：{told}。\n", highlight=False)


def _exchange(run: Run, console: Console) -> None:
    rows = sorted((r for r in run.rows("任职满十年交流") if r["结果"] == "必须交流"), key=lambda r: r["期限"])
    _table(
        console,
        "必须交流",
        ["姓名", "编号", "同职起算", "满十年", "依据"],
        [[r["名称"], r["对象"], r["同职起算日"], r["期限"], "、".join(r["依据"])] for r in rows],
        len(rows),
    )
    soon = sorted((r for r in run.rows("任职满十年交流") if r.get("预测日期")), key=lambda r: r["预测日期"])
    if soon:
        console.print(
            "两年内将满十年："
            + "，".join(f"{r['名称']} {r['预测日期']}" for r in soon[:6])
            + (f" 等 {len(soon)} 人" if len(soon) > 6 else "")
            + "\n",
            highlight=False,
        )


def _retirement(run: Run, console: Console) -> None:
    found = run.rows("到龄退休")
    rows = sorted(
        (r for r in found if r["结果"] == "已到龄" or r.get("预测日期")), key=lambda r: r["到龄日期"]
    )
    _table(
        console,
        "已到龄与一年内到龄",
        ["姓名", "编号", "到龄日期", "延迟月数", "状态"],
        [[r["名称"], r["对象"], r["到龄日期"], r["延迟月数"], r["结果"]] for r in rows],
        len(rows),
    )


def _cards(run: Run, console: Console) -> None:
    rows = sorted((r for r in run.rows("红黄牌") if r["结果"] in ("红牌", "黄牌")), key=lambda r: r["结果"])
    points = {r["对象"]: r for r in run.rows("积分组内排名")}
    _table(console, "红黄牌", ["姓名", "牌", "积分", "组内名次", "措施"],
           [[r["名称"], r["结果"], points[r["对象"]]["数值"], f"{shown(points[r['对象']]['名次'])}/{shown(points[r['对象']]['组内人数'])}", r["措施"]] for r in rows], len(rows))  # fmt: skip


def _ranks(demo: Run, national: Run, console: Console) -> None:
    counts = demo.counts("年度优秀排名")
    console.print("年度优秀排名：" + "，".join(f"{word} {n}" for word, n in counts.items()), highlight=False)
    counts = national.counts("职级晋升资格")
    console.print(
        "职级晋升资格：" + "，".join(f"{word} {n}" for word, n in counts.items()) + "\n", highlight=False
    )


def _unknown(run: Run, console: Console) -> None:
    missing: Counter[str] = Counter()
    total = 0
    for name in run.names:
        for row in run.rows(name):
            if row["结果"] == "不能判定":
                total += 1
                missing.update(f"{name}：{word}" for word in row.get("缺少", [])[:1] or ["（无）"])
    _table(
        console,
        "国家规则中不能判定的结果及所缺事实",
        ["规则：缺少", "人次"],
        [[word, n] for word, n in missing.most_common()],
        len(missing),
    )
    console.print(f"合计 {total} 个结果不能判定；补齐事实后自动得出，不会当作零或通过。\n", highlight=False)


def _one_reason(run: Run, store: Store, built: Built, console: Console) -> None:
    row = next((r for r in run.rows("任职满十年交流") if r["结果"] == "必须交流"), None)
    if row is None:
        return
    console.print("[bold]一个结果的理由[/]")
    told = explain(load_pack("national"), "任职满十年交流", row["对象"], store, built.as_of)
    console.print(told.prose() + "\n", markup=False, highlight=False)


def _further(folder: Path, console: Console) -> None:
    where = "" if str(folder) == "ganbu-data" else f" --records {folder}"
    console.print("[bold]接着可以[/]")
    for line in (
        f"ganbu evaluate 到龄退休 --as-of 2026-12-31{where}",
        f"ganbu evaluate demo --as-of 2026-06-30{where}",
        f"ganbu explain 红黄牌 姓名或编号 --pack demo --as-of 2026-06-30{where}",
        f"ganbu simulate 任职满十年交流 --against national --set 年限=8 --as-of 2026-06-30{where}",
        "ganbu packs list",
        "ganbu packs test",
    ):
        console.print("  " + line, markup=False, highlight=False)
