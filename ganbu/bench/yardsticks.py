"""The reference rules in other engines (对照): each does what it can of the forty, checked against the hand-written query.

Polars and plain Python do facts, conditions, scores and rankings from the same rows; GoRules' zen and OpenFisca have
no type for dated rows and are given the facts, so that theirs are the conditions (and scores) alone; Django reads the
rows as objects and then does what plain Python does. Only "met or not" is compared: none of them tells not known
from not met.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganbu.bench.data import AS_OF

DAY = date.fromisoformat(AS_OF)
HIGH = ("省级", "国家级")
POINTS = {"优秀": 3, "称职": 2, "基本称职": 1, "不称职": 0}
AWARD = {"国家级": 5, "省级": 3, "市级": 2, "县级": 1}
DEPUTY = ("乡科级副职", "县处级副职")
RANKS = {"r1": (("cu",), "s10"), "r2": (("cl",), "s01"), "r3": (("cu", "cl"), "s02"), "r4": (("region", "cl"), "s10"), "r5": (("cu", "sex"), "s09")}  # fmt: skip
CONDITIONS = tuple(f"c{at:02d}" for at in range(1, 21))
SCORES = tuple(f"s{at:02d}" for at in range(1, 11))
Tables = dict[str, pa.Table]
Facts = dict[str, Any]


def yardsticks(tables: Tables, facts: pa.Table) -> dict[str, tuple[Callable[[], Any], tuple[str, ...]]]:
    """By name what to time, and which results it gives: a table with person_id and those columns.

    Those not installed (`ganbu[bench]`) are left out.
    """
    found: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
        "python": (_python(tables), (*CONDITIONS, *SCORES, *RANKS)),
    }
    given: tuple[tuple[str, Callable[[Any], Callable[[], Any]], Any, tuple[str, ...]], ...] = (
        ("polars", _polars, tables, (*CONDITIONS, *SCORES, *RANKS)),
        ("zen", _zen, facts, CONDITIONS),
        ("openfisca", _openfisca, facts, (*CONDITIONS, *SCORES)),
    )
    for name, made, what, columns in given:
        try:
            found[name] = (made(what), columns)
        except ImportError:
            continue
    return found


# -- plain Python ------------------------------------------------------------------------------------------------


def _years(day: date | None) -> int | None:
    return None if day is None else (20260631 - day.year * 10000 - day.month * 100 - day.day) // 10000


def _months(start: date, end: date) -> int:
    # The bench's ends are never the last of a short month that its starts lie beyond but for the day itself.
    last = (date(end.year + end.month // 12, end.month % 12 + 1, 1) - date(end.year, end.month, 1)).days
    short = end.day < start.day and end.day < last
    return (end.year - start.year) * 12 + end.month - start.month - short


def _later(day: date, months: int) -> date:
    whole = day.year * 12 + day.month - 1 + months
    year, month = divmod(whole, 12)
    last = (date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - date(year, month + 1, 1)).days
    return date(year, month + 1, min(day.day, last))


def facts_of(
    person: Any, held: list[Any], assessed: list[Any], awards: list[Any], sanctions: list[Any]
) -> Facts:
    """What the rules ask of one person, from rows with attributes."""
    begun = [a for a in held if a.start_date <= DAY]
    open_ones = [a for a in begun if a.end_date is None or a.end_date > DAY]
    now = max(open_ones, key=lambda a: a.start_date) if open_ones else None
    level = now.level if now else None
    since = min((a.start_date for a in begun if level is not None and a.level == level), default=None)
    recent = [s for s in assessed if 2020 < s.year <= 2025]
    late = [s for s in recent if s.year > 2022]
    got = [w for w in awards if w.date <= DAY]
    punished = [z for z in sanctions if z.date <= DAY]
    return {
        "sex": person.sex, "age": _years(person.birth_date), "party": _years(person.party_date), "cu": now and now.unit, "ct": now and now.title,
        "cl": level, "py": _years(now and now.start_date), "pm": _months(now.start_date, DAY) if now else None, "ly": _years(since),
        "gm": sum(_months(a.start_date, min(a.end_date or DAY, DAY)) for a in begun if a.grassroots),
        "nu": len({a.unit for a in begun}), "nt": len({a.title for a in begun}),
        "e3": sum(s.grade == "优秀" for s in late), "g3": sum(s.grade in ("优秀", "称职") for s in late),
        "b5": sum(s.grade in ("基本称职", "不称职") for s in recent), "n5": len(recent), "e5": sum(s.grade == "优秀" for s in recent),
        "p5": sum(POINTS[s.grade] for s in recent), "hi": sum(w.level in HIGH for w in got),
        "pts": sum(AWARD[w.level] for w in got if w.date > date(2016, 6, 30)), "ns": len(punished),
        "live": any(_later(z.date, z.months) > DAY for z in punished),
    }  # fmt: skip


def _least(value: int | None, bound: int) -> bool:
    return value is not None and value >= bound


def judged(f: Facts) -> Facts:
    """The twenty conditions and ten scores of one person."""
    deputy = f["cl"] in DEPUTY and _least(f["ly"], 2) and not f["live"]
    found = {
        "c01": _least(f["py"], 10), "c02": f["ct"] in ("x1", "x2") and _least(f["py"], 5), "c03": f["age"] <= 35 and f["gm"] >= 24,
        "c04": f["e3"] == 3, "c05": f["live"], "c06": deputy, "c07": f["cl"] == "乡科级正职" and _least(f["ly"], 3) and not f["live"] and f["gm"] >= 24,
        "c08": f["b5"] == 0 and f["n5"] >= 1, "c09": f["g3"] >= 3, "c10": f["age"] + 1 >= (55 if f["sex"] == "女" else 60),
        "c11": (f["cl"] in ("科员", "乡科级副职") and f["age"] > 45) or (f["cl"] == "乡科级正职" and f["age"] > 50), "c12": _least(f["party"], 3),
        "c13": f["nt"] >= 2, "c14": f["nu"] >= 3, "c15": _least(f["ly"], 8) and f["age"] < 50, "c16": f["ns"] == 0 and f["hi"] >= 1,
        "c17": f["pm"] == 11, "c18": f["e5"] >= 2 and not f["live"], "c19": f["sex"] == "女" and f["age"] <= 40,
        "c20": deputy and f["b5"] == 0 and f["g3"] >= 3 and f["age"] <= 55,
        "s01": min(400, f["gm"]), "s02": (2 * f["p5"] * 10000 + f["n5"]) // (2 * f["n5"]) if f["n5"] else 0, "s03": min(10, f["pts"]),
        "s04": -2 * f["ns"] - (5 if f["live"] else 0), "s05": 2 * f["nu"], "s06": min(50, 5 * (f["gm"] // 12)), "s07": min(80, 10 * f["nu"] + 5 * f["nt"]),
        "s08": max(0, 100 - 5 * abs(f["age"] - 42)), "s09": min(120, 15 * (f["ly"] or 0)),
    }  # fmt: skip
    found["s10"] = sum(weight * found[name] for name, weight in WEIGHTS.items())
    return found


WEIGHTS = {"s01": 3000, "s02": 20, "s03": 100000, "s04": 100000, "s05": 50000, "s06": 10000, "s07": 5000, "s08": 3000, "s09": 5000}  # fmt: skip


def ranked(rows: list[Facts], regions: dict[str, str]) -> None:
    """The five rankings, 30/40/30 in groups; those without a group are not ranked."""
    for name, (parts, value) in RANKS.items():
        groups: dict[tuple[Any, ...], list[Facts]] = defaultdict(list)
        for row in rows:
            key = tuple(regions.get(row["cu"]) if part == "region" else row[part] for part in parts)
            if None in key:
                row[name] = "不能判定"
            else:
                groups[key].append(row)
        for group in groups.values():
            group.sort(key=lambda row: (-row[value], row["person_id"]))
            first, second = 3 * len(group) // 10, 4 * len(group) // 10
            for at, row in enumerate(group):
                row[name] = "A" if at < first else "B" if at < first + second else "C"


class _Row:
    """A row with attributes."""

    __slots__ = ("__dict__",)


def _objects(table: pa.Table) -> Iterator[_Row]:
    names, columns = table.column_names, [column.to_pylist() for column in table.columns]
    for values in zip(*columns, strict=True):
        row = _Row()
        row.__dict__.update(zip(names, values, strict=True))
        yield row


def _python(tables: Tables) -> Callable[[], pa.Table]:
    people = list(_objects(tables["person"]))
    lists: dict[str, dict[str, list[Any]]] = {}
    for name in ("appointment", "assessment", "award", "sanction"):
        lists[name] = defaultdict(list)
        for row in _objects(tables[name]):
            lists[name][row.__dict__["person"]].append(row)
    regions = dict(
        zip(tables["unit"]["unit_id"].to_pylist(), tables["unit"]["region"].to_pylist(), strict=True)
    )

    def run() -> pa.Table:
        rows = []
        for person in people:
            key = person.__dict__["person_id"]
            facts = facts_of(person, *(lists[name].get(key, []) for name in lists))
            rows.append({"person_id": key, **facts, **judged(facts)})
        ranked(rows, regions)
        return pa.table(
            {name: [row[name] for row in rows] for name in ("person_id", *CONDITIONS, *SCORES, *RANKS)}
        )

    return run


# -- Polars ------------------------------------------------------------------------------------------------------


def _polars(tables: Tables) -> Callable[[], pa.Table]:
    import polars as pl

    held = {name: pl.DataFrame(pl.from_arrow(table)) for name, table in tables.items()}
    col, when = pl.col, pl.when

    def stamp(day: Any) -> Any:
        return (
            day.dt.year().cast(pl.Int32) * 10000
            + day.dt.month().cast(pl.Int32) * 100
            + day.dt.day().cast(pl.Int32)
        )

    def years(day: Any) -> Any:
        return (20260631 - stamp(day)) // 10000

    def months(start: Any, end: Any) -> Any:
        short = (end.dt.day() < start.dt.day()) & (end.dt.day() < end.dt.month_end().dt.day())
        return (
            (end.dt.year() - start.dt.year()) * 12
            + end.dt.month().cast(pl.Int32)
            - start.dt.month().cast(pl.Int32)
            - short.cast(pl.Int32)
        )

    def run() -> pa.Table:
        day = pl.lit(DAY)
        begun = held["appointment"].lazy().filter(col("start_date") <= DAY)
        open_ones = begun.filter(col("end_date").is_null() | (col("end_date") > DAY)).sort(
            "person", "start_date"
        )
        now = open_ones.unique("person", keep="last", maintain_order=True).select(
            "person", cu="unit", ct="title", cl="level", cs="start_date"
        )
        end = pl.min_horizontal(col("end_date").fill_null(DAY), day)
        spent = begun.group_by("person").agg(
            gm=when("grassroots").then(months(col("start_date"), end)).otherwise(0).sum(),
            nu=col("unit").n_unique(),
            nt=col("title").n_unique(),
        )
        since = (
            begun.join(now.select("person", "cl"), left_on=["person", "level"], right_on=["person", "cl"])
            .group_by("person")
            .agg(ls=col("start_date").min())
        )
        grade, late = col("grade"), col("year") > 2022
        assessed = held["assessment"].lazy().filter(col("year").is_between(2021, 2025)).group_by("person").agg(
            e3=(late & (grade == "优秀")).sum(), g3=(late & grade.is_in(["优秀", "称职"])).sum(), b5=grade.is_in(["基本称职", "不称职"]).sum(),
            n5=pl.len(), e5=(grade == "优秀").sum(), p5=grade.replace_strict(POINTS, return_dtype=pl.Int64).sum(),
        )  # fmt: skip
        got = held["award"].lazy().filter(col("date") <= DAY).group_by("person").agg(
            hi=col("level").is_in(list(HIGH)).sum(),
            pts=when(col("date") > date(2016, 6, 30)).then(col("level").replace_strict(AWARD, return_dtype=pl.Int64)).otherwise(0).sum(),
        )  # fmt: skip
        punished = held["sanction"].lazy().filter(col("date") <= DAY).with_columns(
            until=col("date").dt.offset_by(pl.format("{}mo", col("months")))
        ).group_by("person").agg(ns=pl.len(), live=(col("until") > DAY).any())  # fmt: skip
        facts = (
            held["person"]
            .lazy()
            .select("person_id", "sex", age=years(col("birth_date")), party=years(col("party_date")))
        )
        for more in (now, spent, since, assessed, got, punished):
            facts = facts.join(more, left_on="person_id", right_on="person", how="left")
        whole = [
            col(name).fill_null(0).cast(pl.Int64)
            for name in ("gm", "nu", "nt", "e3", "g3", "b5", "n5", "e5", "p5", "hi", "pts", "ns")
        ]
        facts = facts.with_columns(
            *whole,
            col("live").fill_null(False),
            py=years(col("cs")),
            pm=months(col("cs"), day),
            ly=years(col("ls")).cast(pl.Int64),
        )
        c, live = col, col("live")
        deputy = c("cl").is_in(list(DEPUTY)) & (c("ly") >= 2) & ~live
        met = {
            "c01": c("py") >= 10, "c02": c("ct").is_in(["x1", "x2"]) & (c("py") >= 5), "c03": (c("age") <= 35) & (c("gm") >= 24), "c04": c("e3") == 3,
            "c05": live, "c06": deputy, "c07": (c("cl") == "乡科级正职") & (c("ly") >= 3) & ~live & (c("gm") >= 24), "c08": (c("b5") == 0) & (c("n5") >= 1),
            "c09": c("g3") >= 3, "c10": c("age") + 1 >= when(c("sex") == "女").then(55).otherwise(60),
            "c11": (c("cl").is_in(["科员", "乡科级副职"]) & (c("age") > 45)) | ((c("cl") == "乡科级正职") & (c("age") > 50)), "c12": c("party") >= 3,
            "c13": c("nt") >= 2, "c14": c("nu") >= 3, "c15": (c("ly") >= 8) & (c("age") < 50), "c16": (c("ns") == 0) & (c("hi") >= 1), "c17": c("pm") == 11,
            "c18": (c("e5") >= 2) & ~live, "c19": (c("sex") == "女") & (c("age") <= 40), "c20": deputy & (c("b5") == 0) & (c("g3") >= 3) & (c("age") <= 55),
        }  # fmt: skip
        points = {
            "s01": pl.min_horizontal(400, c("gm")), "s02": when(c("n5") > 0).then((2 * c("p5") * 10000 + c("n5")) // (2 * c("n5"))).otherwise(0),
            "s03": pl.min_horizontal(10, c("pts")), "s04": -2 * c("ns") - when(live).then(5).otherwise(0), "s05": 2 * c("nu"),
            "s06": pl.min_horizontal(50, 5 * (c("gm") // 12)), "s07": pl.min_horizontal(80, 10 * c("nu") + 5 * c("nt")),
            "s08": pl.max_horizontal(0, 100 - 5 * (c("age").cast(pl.Int64) - 42).abs()), "s09": pl.min_horizontal(120, 15 * c("ly").fill_null(0)),
        }  # fmt: skip
        rows = facts.select(
            "person_id",
            "cu",
            "cl",
            "sex",
            *[e.fill_null(False).alias(n) for n, e in met.items()],
            *[e.alias(n) for n, e in points.items()],
        )
        rows = rows.with_columns(s10=pl.sum_horizontal(weight * c(name) for name, weight in WEIGHTS.items()))
        rows = rows.join(
            held["unit"].lazy().select("unit_id", "region"), left_on="cu", right_on="unit_id", how="left"
        ).sort("person_id")
        for name, (parts, value) in RANKS.items():
            place, size = (-c(value)).rank("ordinal").over(parts), pl.len().over(parts)
            gone = pl.any_horizontal(c(part).is_null() for part in parts)
            third = (
                when(place <= 3 * size // 10)
                .then(pl.lit("A"))
                .when(place <= 3 * size // 10 + 4 * size // 10)
                .then(pl.lit("B"))
                .otherwise(pl.lit("C"))
            )
            rows = rows.with_columns(when(gone).then(pl.lit("不能判定")).otherwise(third).alias(name))
        return rows.select("person_id", *CONDITIONS, *SCORES, *RANKS).collect().to_arrow()

    return run


# -- engines that are given the facts -------------------------------------------------------------------------------

WORDS = {
    "c01": "py >= 10", "c02": "(ct == 'x1' or ct == 'x2') and py >= 5", "c03": "age <= 35 and gm >= 24", "c04": "e3 == 3", "c05": "live",
    "c06": "(cl == '乡科级副职' or cl == '县处级副职') and ly >= 2 and not live", "c07": "cl == '乡科级正职' and ly >= 3 and not live and gm >= 24",
    "c08": "b5 == 0 and n5 >= 1", "c09": "g3 >= 3", "c10": "age + 1 >= (sex == '女' ? 55 : 60)",
    "c11": "((cl == '科员' or cl == '乡科级副职') and age > 45) or (cl == '乡科级正职' and age > 50)", "c12": "party >= 3", "c13": "nt >= 2", "c14": "nu >= 3",
    "c15": "ly >= 8 and age < 50", "c16": "ns == 0 and hi >= 1", "c17": "pm == 11", "c18": "e5 >= 2 and not live", "c19": "sex == '女' and age <= 40",
    "c20": "(cl == '乡科级副职' or cl == '县处级副职') and ly >= 2 and not live and b5 == 0 and g3 >= 3 and age <= 55",
}  # fmt: skip


def _given(facts: pa.Table) -> pa.Table:
    """Facts without gaps: a number that is not known is -1, a text is empty."""
    for at, (name, column) in enumerate(zip(facts.column_names, facts.columns, strict=True)):
        if column.null_count:
            facts = facts.set_column(
                at, name, column.fill_null("" if pa.types.is_string(column.type) else -1)
            )
    return facts


def _zen(facts: pa.Table) -> Callable[[], pa.Table]:
    import zen

    given = _given(facts.drop_columns(["cs"]))
    rows = given.to_pylist()
    nodes = [
        {"id": "i", "type": "inputNode", "name": "in", "content": {}},
        {"id": "e", "type": "expressionNode", "name": "e", "content": {"passThrough": False, "expressions": [{"id": k, "key": k, "value": v} for k, v in WORDS.items()]}},
        {"id": "o", "type": "outputNode", "name": "out", "content": {}},
    ]  # fmt: skip
    edges = [
        {"id": "1", "sourceId": "i", "targetId": "e", "type": "edge"},
        {"id": "2", "sourceId": "e", "targetId": "o", "type": "edge"},
    ]
    graph = {"nodes": nodes, "edges": edges}
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rules": graph}}})
    asked: list[Any] = [{"key": "rules", "context": row} for row in rows]

    def run() -> pa.Table:
        found: list[Any] = []
        for at in range(0, len(asked), 2000):
            found += [one["data"]["result"] for one in engine.evaluate_batch(asked[at : at + 2000])]
        return pa.table(
            {"person_id": given["person_id"], **{name: [row[name] for row in found] for name in CONDITIONS}}
        )

    return run


def _openfisca(facts: pa.Table) -> Callable[[], pa.Table]:
    from openfisca_core.entities import build_entity
    from openfisca_core.periods import YEAR
    from openfisca_core.simulations import SimulationBuilder
    from openfisca_core.taxbenefitsystems import TaxBenefitSystem
    from openfisca_core.variables import Variable

    given = _given(facts.drop_columns(["cs"]))
    codes = {
        "cl": ["", "科员", "乡科级副职", "乡科级正职", "县处级副职", "县处级正职"],
        "sex": ["男", "女"],
        "ct": sorted(set(given["ct"].to_pylist())),
    }
    columns: dict[str, Any] = {}
    for name in given.column_names[1:]:
        if name == "cu":
            continue
        values = given[name].to_pylist()
        columns[name] = np.array([codes[name].index(v) for v in values] if name in codes else values)
    person = build_entity("person", "persons", "", is_person=True)
    system = TaxBenefitSystem([person])

    def variable(name: str, kind: type, formula: Any = None) -> None:
        told = {"value_type": kind, "entity": person, "definition_period": YEAR, "label": name}
        system.add_variable(type(name, (Variable,), told | ({"formula": formula} if formula else {})))

    for name, column in columns.items():
        variable(name, bool if column.dtype == bool else int)
    deputy, x = (2, 4), [codes["ct"].index(t) for t in ("x1", "x2") if t in codes["ct"]]
    formulas: dict[str, Callable[[Any], Any]] = {
        "c01": lambda v: v("py") >= 10, "c02": lambda v: np.isin(v("ct"), x) & (v("py") >= 5), "c03": lambda v: (v("age") <= 35) & (v("gm") >= 24),
        "c04": lambda v: v("e3") == 3, "c05": lambda v: v("live"), "c06": lambda v: np.isin(v("cl"), deputy) & (v("ly") >= 2) & ~v("live"),
        "c07": lambda v: (v("cl") == 3) & (v("ly") >= 3) & ~v("live") & (v("gm") >= 24), "c08": lambda v: (v("b5") == 0) & (v("n5") >= 1),
        "c09": lambda v: v("g3") >= 3, "c10": lambda v: v("age") + 1 >= np.where(v("sex") == 1, 55, 60),
        "c11": lambda v: ((v("cl") >= 1) & (v("cl") <= 2) & (v("age") > 45)) | ((v("cl") == 3) & (v("age") > 50)), "c12": lambda v: v("party") >= 3,
        "c13": lambda v: v("nt") >= 2, "c14": lambda v: v("nu") >= 3, "c15": lambda v: (v("ly") >= 8) & (v("age") < 50),
        "c16": lambda v: (v("ns") == 0) & (v("hi") >= 1), "c17": lambda v: v("pm") == 11, "c18": lambda v: (v("e5") >= 2) & ~v("live"),
        "c19": lambda v: (v("sex") == 1) & (v("age") <= 40), "c20": lambda v: v("c06") & v("c08") & v("c09") & (v("age") <= 55),
        "s01": lambda v: np.minimum(400, v("gm")), "s02": lambda v: np.where(v("n5") > 0, (2 * v("p5") * 10000 + v("n5")) // np.maximum(1, 2 * v("n5")), 0),
        "s03": lambda v: np.minimum(10, v("pts")), "s04": lambda v: -2 * v("ns") - 5 * v("live"), "s05": lambda v: 2 * v("nu"),
        "s06": lambda v: np.minimum(50, 5 * (v("gm") // 12)), "s07": lambda v: np.minimum(80, 10 * v("nu") + 5 * v("nt")),
        "s08": lambda v: np.maximum(0, 100 - 5 * abs(v("age") - 42)), "s09": lambda v: np.minimum(120, 15 * np.maximum(v("ly"), 0)),
        "s10": lambda v: sum(weight * v(name).astype(np.int64) for name, weight in WEIGHTS.items()),
    }  # fmt: skip

    def asked(formula: Callable[[Any], Any]) -> Any:
        return lambda population, period: formula(lambda name: population(name, period))

    for name, formula in formulas.items():
        variable(name, bool if name[0] == "c" else int, asked(formula))

    def run() -> pa.Table:
        builder = SimulationBuilder()
        builder.create_entities(system)
        builder.declare_person_entity("person", np.arange(given.num_rows))
        simulation = builder.build(system)
        for name, column in columns.items():
            simulation.set_input(name, "2026", column)
        return pa.table(
            {
                "person_id": given["person_id"],
                **{name: simulation.calculate(name, "2026") for name in formulas},
            }
        )

    return run


# -- Django ------------------------------------------------------------------------------------------------------


def django_loops(tables: Tables) -> tuple[float, pa.Table]:
    """CPU seconds and results of loops over Django objects, rows prefetched; in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="ganbu-bench-") as folder:
        for name, table in tables.items():
            pq.write_table(table, Path(folder) / f"{name}.parquet")
        done = subprocess.run(
            [sys.executable, "-m", "ganbu.bench.django_loops", folder],
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout), pq.read_table(Path(folder) / "found.parquet")
