"""The commands of the benchmarks (性能测试命令): each prints a table or JSON, and can keep the JSON."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from math import log
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="性能测试。", no_args_is_help=True)
out = Console()
Format = Annotated[str, typer.Option("--format", help="table 或 json")]
Keep = Annotated[Path | None, typer.Option("--out", help="JSON 另存到这个文件")]
People = Annotated[int, typer.Option("--people", min=1, help="人数")]
Home = Annotated[
    Path | None, typer.Option("--home", help="数据文件夹：有演示数据就用它，没有就造；不写则用完即删")
]
Growth = Annotated[
    bool, typer.Option("--growth/--no-growth", help="另在十分之一的规模上量一次，算出各项的增长指数")
]


def _tell(found: dict[str, Any], fmt: str, path: Path | None) -> None:
    found.setdefault("peak_memory_mb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    text = json.dumps(found, ensure_ascii=False, indent=2)
    if path is not None:
        path.write_text(text + "\n", "utf-8")
    if fmt == "json":
        typer.echo(text)
        return
    table = Table("项目", "值")
    for key, value in _lines(found):
        table.add_row(key, f"{value:.4f}" if isinstance(value, float) else str(value))
    out.print(table)


def _lines(found: dict[str, Any]) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for key, value in found.items():
        for one in value if isinstance(value, list) else [value]:
            lines.append((key, "，".join(f"{k} {v}" for k, v in one.items()) if isinstance(one, dict) else one))  # fmt: skip
    return lines


def _in(home: Path | None, work: Any) -> dict[str, Any]:
    """Run a benchmark over an installation in a folder that is kept, or in one that is not."""
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        return dict(work(home))
    with tempfile.TemporaryDirectory(prefix="ganbu-bench-") as folder:
        return dict(work(Path(folder)))


def _grown(found: dict[str, Any], command: list[str], size: int, home: Path | None) -> None:
    """Add the exponents by which the figures grow: the same command on a tenth, in a process and an installation of its own."""
    asked = [sys.executable, "-m", "ganbu.cli", "bench", *command, str(max(1, size // 10)), "--no-growth", "--format", "json"]  # fmt: skip
    if home is not None:
        asked += ["--home", str(home / "tenth")]
    alone = {k: v for k, v in os.environ.items() if k not in ("GANBU_HOME", "DJANGO_SETTINGS_MODULE")}
    small = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True, env=alone).stdout)
    counted = next(key for key in ("cards", "files", "people") if key in found)
    factor = found[counted] / small[counted]
    if factor > 1:
        taken, before = _seconds(found), _seconds(small)
        found["growth"] = {
            key: round(log(taken[key] / before[key]) / log(factor), 2)
            for key in taken
            if taken[key] > 0 and before.get(key, 0) > 0
        }


def _seconds(found: dict[str, Any]) -> dict[str, float]:
    """What was measured in time, by name."""
    pages = {key: value["median_ms"] for key, value in found.items() if isinstance(value, dict)}
    return pages | {key.removesuffix("_cpu_s"): value for key, value in found.items() if key.endswith("_cpu_s") and not key.endswith("per_cpu_s")}  # fmt: skip


def _one_database() -> bool:
    """Whether all installations are one: a database named by DATABASE_URL has no smaller one beside it."""
    return bool(os.environ.get("DATABASE_URL"))


@app.command("engine")
def engine(
    people: People = 100_000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="交替运行次数，取最小值")] = 3,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """四十条参照规则：引擎与手写 DuckDB 查询交替运行，比较 CPU 时间，并核对结果逐格相同。"""
    from ganbu.bench.engine import engine_bench

    _tell(engine_bench(people, repeats), fmt, keep)


@app.command("spark")
def spark(
    people: People = 100_000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="运行次数；第一次包括 Java 的编译")] = 2,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """Spark：四十条参照规则与手写查询逐格核对，比较 CPU 时间。"""
    from ganbu.bench.engine import spark_bench

    _tell(spark_bench(people, repeats), fmt, keep)


@app.command("whatif")
def whatif(
    people: People = 10_000,
    moved: Annotated[int, typer.Option("--moved", min=1, help="假设调整多少人")] = 100,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="问几次，取最小值")] = 5,
    growth: Growth = True,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """推演：假设调整一些人，与全体重新评估比较；两万人以内核对差别逐条相同。"""
    from ganbu.bench.whatif import whatif_bench

    found = whatif_bench(people, moved, repeats)
    if growth:
        _grown(found, ["whatif", "--moved", str(moved), "--repeats", str(repeats), "--people"], people, None)
    _tell(found, fmt, keep)


@app.command("snapshot")
def snapshot(
    people: People = 10_000,
    home: Home = None,
    growth: Growth = True,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """从数据库取全体档案给引擎：每秒多少行，改动一人以后再取要多久。"""
    from ganbu.bench.installation import snapshot_bench

    found = _in(home, lambda folder: snapshot_bench(folder, people))
    if growth and not _one_database():
        _grown(found, ["snapshot", "--people"], people, home)
    _tell(found, fmt, keep)


@app.command("import")
def import_files(
    files: Annotated[int, typer.Option("--files", min=1, help="任免审批表份数")] = 1000,
    home: Home = None,
    growth: Growth = True,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """导入 lrmx：从读文件到登记入库，每 CPU 秒多少份。"""
    from ganbu.bench.installation import import_bench

    found = _in(home, lambda folder: import_bench(folder, files))
    if growth and not _one_database():
        _grown(found, ["import", "--files"], files, home)
    _tell(found, fmt, keep)


@app.command("documents")
def documents(
    people: People = 1000, home: Home = None, growth: Growth = True, fmt: Format = "table", keep: Keep = None
) -> None:
    """生成任免审批表和花名册：每 CPU 秒多少份。"""
    from ganbu.bench.installation import documents_bench

    found = _in(home, lambda folder: documents_bench(folder, people))
    if growth and not _one_database():
        _grown(found, ["documents", "--people"], people, home)
    _tell(found, fmt, keep)


@app.command("web")
def web(
    people: People = 10_000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="每页看几次")] = 20,
    home: Home = None,
    growth: Growth = True,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """各页的服务器时间（中位数、p95）、查询条数、页面大小。"""
    from ganbu.bench.installation import web_bench

    found = _in(home, lambda folder: web_bench(folder, people, repeats))
    if growth and not _one_database():
        _grown(found, ["web", "--repeats", str(repeats), "--people"], people, home)
    _tell(found, fmt, keep)


@app.command("scale")
def scale(
    sizes: Annotated[
        list[int] | None, typer.Option("--people", min=1, help="人数；可写多次，从小到大")
    ] = None,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """四十条参照规则随人数增长：CPU 时间、内存峰值、增长指数。"""
    from ganbu.bench.scale import scale_bench

    _tell(scale_bench(sizes or [100_000, 1_000_000]), fmt, keep)


@app.command("load")
def load(
    people: People = 10_000,
    users: Annotated[int, typer.Option("--users", min=1, help="同时使用的人数")] = 50,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="多少秒")] = 60,
    home: Home = None,
    fmt: Format = "table",
    keep: Keep = None,
) -> None:
    """并发：启动网页服务，若干人同时查找、翻看、查询、登记，各页等候的毫秒数。要装 locust。"""
    from ganbu.bench.load import load_bench

    _tell(_in(home, lambda folder: load_bench(folder, people, users, seconds)), fmt, keep)
