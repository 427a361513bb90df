"""Evaluating (评估): a pack over records on a day, everyone at once; results with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ganbu.engine.evaluator import Evaluator, Judged
from ganbu.engine.kernel import Prepared, Shelf
from ganbu.engine.kernel.computed import KernelComputed
from ganbu.engine.kinds.base import UNDECIDED
from ganbu.engine.numbers import digits_of
from ganbu.engine.policy import REQUIRED, Pack
from ganbu.engine.records import Records, moment
from ganbu.engine.results import SHOWN_DIGITS, Cells, Computed
from ganbu.engine.tree import Const, Node
from ganbu.errors import MisuseError, OpenValueError, PackError, nearest

ENGINES = ("kernel", "duckdb", "spark")
REASONS = ("依据", "缺少", "不能排除")
KEPT_DAYS = 4  # days for which a pack remembers what its policies were lowered to


class Store:
    """Records made ready for any number of runs (数据快照); each engine's form is made when first used."""

    def __init__(self, records: Records, shelf: Shelf | None = None) -> None:
        self.records, self.shelf = records, shelf

    @cached_property
    def prepared(self) -> Prepared:
        """The records as columns, for the kernel; what is on the shelf is not made again."""
        return Prepared(self.records, shelf=self.shelf)

    @cached_property
    def tables(self) -> Any:
        """The records in DuckDB."""
        from ganbu.engine.duck import Tables

        return Tables(self.records)

    @cached_property
    def spark(self) -> Any:
        """The records in Spark. Raises MisuseError where it is not installed or does not start."""
        try:
            from ganbu.engine.spark import SparkTables
        except ImportError as error:
            raise MisuseError("Spark 引擎要另装：pip install 'ganbu[spark]'，并有 Java 17 以上") from error
        return SparkTables.of(self.records)


@dataclass
class Skipped:
    """A policy that did not run, and why (未运行的规则)."""

    policy: str
    reason: str


@dataclass
class Run:
    """The results of a run (一次评估的结果)."""

    store: Store
    evaluator: Evaluator
    names: list[str]
    computed: Computed
    as_of: date
    known_at: str = ""
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """Which engine computed it."""
        return self.computed.engine

    def rows(self, policy: str, only: Any = None) -> list[dict[str, Any]]:
        """The findings of a policy as plain rows: exact Fractions, dates, and lists of reasons.

        `only` are the rows of its register to be told of, for the kernel; of groups, all rows of some.
        """
        judged = self.evaluator.judge(policy)
        cells = self._fetch(judged, only)
        if judged.lowered.layout == "effects":
            return self._effect_rows(cells)
        masks = {f"#{at}" for at, output in enumerate(judged.outputs) if output.labels}
        raw = {label: column.values.to_pylist() if label in masks else column.exact() for label, column in cells.items()}  # fmt: skip
        if judged.lowered.layout == "groups":
            return self._group_rows(judged, raw)
        columns: dict[str, list[Any]] = {"对象": raw["对象"], "名称": raw["名称"]}
        for at, output in enumerate(judged.outputs):
            if not output.labels:
                columns[output.label] = raw[f"#{at}"]
        columns.update(self._reasons(judged, raw))
        return list(map(dict, map(zip, repeat(tuple(columns)), zip(*columns.values(), strict=True))))

    def _reasons(self, judged: Judged, raw: Mapping[str, list[Any]]) -> dict[str, list[list[str]]]:
        """The lists of reasons of each row: grounds, what is missing, what cannot be excluded."""
        size = len(raw["对象"])
        found: dict[str, list[list[str]]] = {}
        for at, output in enumerate(judged.outputs):
            if not output.labels:
                continue
            words = _decoded(raw[f"#{at}"], output.labels)
            held = found.get(output.label)
            found[output.label] = (
                words if held is None else [one + two for one, two in zip(held, words, strict=True)]
            )
        return {label: found.get(label) or [[]] * size for label in REASONS}

    def table(self, policy: str) -> pa.Table:
        """The findings of a policy as an Arrow table; reasons are joined by `；`."""
        judged = self.evaluator.judge(policy)
        if judged.lowered.layout != "subject":
            return _as_table(self.rows(policy))
        cells = self._fetch(judged)
        columns: dict[str, Any] = {"对象": cells["对象"].values, "名称": cells["名称"].values}
        told: dict[str, Any] = {}
        for at, output in enumerate(judged.outputs):
            if output.labels:
                words = _said(cells[f"#{at}"].values, output.labels)
                before = told.get(output.label)
                told[output.label] = words if before is None else _joined(before, words)
            else:
                columns[output.label] = cells[f"#{at}"].arrow()
        columns.update({label: told[label] for label in REASONS if label in told})
        return pa.table(columns)

    def df(self, policy: str) -> Any:
        """The findings as a pandas data frame; pandas must be installed."""
        return self.table(policy).to_pandas()

    def pl(self, policy: str) -> Any:
        """The findings as a Polars data frame; Polars must be installed."""
        import polars  # type: ignore[import-not-found,unused-ignore]

        return polars.from_arrow(self.table(policy))

    def counts(self, policy: str) -> dict[str, int]:
        """How many subjects have each outcome, most frequent first."""
        judged = self.evaluator.judge(policy)
        if judged.lowered.layout != "subject":
            outcomes = [str(row["结果"]) for row in self.rows(policy)]
            return {word: outcomes.count(word) for word in dict.fromkeys(outcomes)}
        column = self.computed.fetch(judged.register.name, {"结果": judged.outcome}, judged.inside)
        counted = pc.value_counts(column["结果"].values).to_pylist()
        return {c["values"]: c["counts"] for c in sorted(counted, key=lambda c: (-c["counts"], c["values"]))}

    def subjects(self, policy: str, outcome: str) -> list[str]:
        """The identities of those with an outcome, without the reasons, in the order of the record."""
        judged = self.evaluator.judge(policy)
        wanted = {"对象": self.evaluator.columns(judged)["对象"], "结果": judged.outcome}
        cells = self.computed.fetch(judged.register.name, wanted, judged.inside)
        found: list[str] = pc.filter(
            cells["对象"].values, pc.equal(cells["结果"].values, outcome)
        ).to_pylist()
        return found

    def _fetch(self, judged: Judged, only: Any = None) -> dict[str, Cells]:
        nodes = self.evaluator.columns(judged)
        keep = None if judged.lowered.layout == "effects" else judged.inside
        if only is None:
            return self.computed.fetch(judged.shown_register, nodes, keep)
        assert isinstance(self.computed, KernelComputed)
        return self.computed.fetch(judged.shown_register, nodes, keep, only)

    def _group_rows(self, judged: Judged, raw: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """One row per group and part; without anybody in sight a single group with nobody in it."""
        labels = [label for label, _ in judged.lowered.groups]
        keys = list(zip(*(raw[f"组:{label}"] for label in labels), strict=True)) or [()] * len(raw["对象"])
        seats: dict[tuple[Any, ...], int] = {}
        missing_of: dict[tuple[Any, ...], list[str]] = {}
        gone = self._reasons(judged, raw)["缺少"]
        for at, key in enumerate(keys):
            seats.setdefault(key, at)
            missing_of.setdefault(key, []).extend(gone[at])
        place = {output.fact: f"#{at}" for at, output in enumerate(judged.outputs)}
        found = []
        for key, seat in seats.items():
            for at, (label, columns, _) in enumerate(judged.lowered.parts):
                shown = "、".join("不详" if k is None else str(k) for k in key)
                item: dict[str, Any] = {"对象": shown or "全体", "名称": label}
                for column in columns:
                    item[column] = raw[place[f"{judged.policy.name}.{label}·{column}·{at}"]][seat]
                item["缺少"] = list(dict.fromkeys(missing_of[key])) if item["结果"] == UNDECIDED else []
                found.append(item)
        if not seats and not labels:
            found = [_nobody(label, columns, sign) for label, columns, sign in judged.lowered.parts]
        return found

    def _effect_rows(self, cells: Mapping[str, Cells]) -> list[dict[str, Any]]:
        raw = {label: column.exact() for label, column in cells.items()}
        names = [name or subject for name, subject in zip(raw["名称"], raw["对象"], strict=True)]
        outcomes = [kind if held else UNDECIDED for kind, held in zip(raw["种类"], raw["成立"], strict=True)]
        shown = {"对象": raw["对象"], "名称": names, "结果": outcomes, "后果": raw["种类"]}
        shown.update({key: raw[key] for key in ("起始日", "截止日", "生效中")})
        rows = [dict(zip(shown, values, strict=True)) for values in zip(*shown.values(), strict=True)]
        return sorted(rows, key=lambda r: (str(r["对象"]), r["起始日"] or date.max, str(r["结果"])))

    def close(self) -> None:
        """Drop what the run computed; its results can no longer be read."""
        self.computed.close()


def _nobody(label: str, columns: dict[str, Node], sign: str) -> dict[str, Any]:
    """A part of a quota when there is nobody at all: a fixed number is compared with nought."""
    goal = columns["应有"]
    want = goal.value if isinstance(goal, Const) and isinstance(goal.value, Fraction) else None
    if want is None:
        outcome = "达标" if sign in ("<=", "<") else UNDECIDED
    else:
        met = {">=": want <= 0, ">": want < 0, "<=": want >= 0, "<": want > 0, "=": want == 0}[sign]
        outcome = "达标" if met else "不足" if want > 0 else "超出"
    gap = -want if want is not None else None
    return {
        "对象": "全体",
        "名称": label,
        "实有": Fraction(0),
        "应有": want,
        "差额": gap,
        "结果": outcome,
        "缺少": [],
    }


def _decoded(values: list[Any], labels: tuple[str, ...]) -> list[list[str]]:
    cache: dict[int, list[str]] = {0: []}
    result = []
    for value in values:
        mask = int(value or 0)
        if mask not in cache:
            cache[mask] = list(dict.fromkeys(label for at, label in enumerate(labels) if mask >> at & 1))
        result.append(cache[mask])
    return result


def _said(masks: Any, labels: tuple[str, ...]) -> Any:
    """The labels of each mask as one text; there are few different masks, however many rows."""
    whole = pa.chunked_array(masks) if isinstance(masks, list) else masks
    coded = (whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole).dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = ["；".join(items) for items in _decoded(coded.dictionary.to_pylist(), labels)]
    return pc.fill_null(pa.array(words, pa.string()).take(coded.indices), "")


def _joined(one: Any, two: Any) -> Any:
    both = pc.and_(pc.not_equal(one, ""), pc.not_equal(two, ""))
    return pc.binary_join_element_wise(one, two, pc.if_else(both, "；", ""))


def _as_table(rows: list[dict[str, Any]]) -> pa.Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    plain: dict[str, list[Any]] = {}
    for column in columns:
        values = [row.get(column) for row in rows]
        exact = [v for v in values if isinstance(v, Fraction)]
        if exact and all(v.denominator == 1 for v in exact):
            values = [int(v) if isinstance(v, Fraction) else v for v in values]
        plain[column] = [_plain(value) for value in values]
    return (
        pa.table(plain)
        if plain
        else pa.table(
            {
                "对象": pa.array([], pa.string()),
                "名称": pa.array([], pa.string()),
                "结果": pa.array([], pa.string()),
            }
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return Decimal(digits_of(value, SHOWN_DIGITS) or 0).scaleb(-SHOWN_DIGITS)
    return "；".join(value) if isinstance(value, list) else value


def chosen(
    pack: Pack, wanted: Iterable[str] | None, as_of: date, overrides: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[Skipped]]:
    """Which policies run: those asked for, or all of the pack that are enforced, in force and complete."""
    names, skipped = [], []
    for policy_name in wanted if wanted is not None else pack.policies:
        if policy_name not in pack.reach:
            raise PackError(f"没有规则“{policy_name}”", hint=nearest(policy_name, pack.reach))
        policy = pack.reach[policy_name]
        open_values = [path for path in policy.required if not _filled(path, overrides.get(policy_name, {}))]
        if wanted is None and policy.status == "off":
            skipped.append(Skipped(policy_name, f"已关闭：{policy.body.get('why', '')}"))
        elif not policy.in_force(as_of) and policy.kind != "consequence":
            skipped.append(Skipped(policy_name, f"{as_of} 不在有效期内"))
        elif open_values and wanted is None:
            skipped.append(Skipped(policy_name, f"待本地填写：{'、'.join(open_values)}"))
        else:
            names.append(policy_name)
    return names, skipped


def _complete(evaluator: Evaluator, names: list[str], skipped: list[Skipped]) -> list[str]:
    """Those that do not read a policy with open values."""
    kept = []
    for policy_name in names:
        try:
            evaluator.judge(policy_name)
            kept.append(policy_name)
        except OpenValueError as error:
            skipped.append(Skipped(policy_name, error.message))
    return kept


def _filled(path: str, values: Mapping[str, Any]) -> bool:
    parts = path.split(".")
    return len(parts) >= 2 and parts[0] == "parameters" and values.get(parts[1]) not in (None, REQUIRED)


def _evaluator(pack: Pack, as_of: date, parameters: Mapping[str, Mapping[str, Any]]) -> Evaluator:
    """The policies lowered for a day; kept with the pack where nothing is filled in for one run only."""
    if any(parameters.values()):
        return Evaluator(pack, as_of, parameters)
    if as_of not in pack.ready:
        while len(pack.ready) >= KEPT_DAYS:
            del pack.ready[next(iter(pack.ready))]
        pack.ready[as_of] = Evaluator(pack, as_of)
    return pack.ready[as_of]  # type: ignore[no-any-return]


def evaluate(
    pack: Pack,
    records: Records | Store,
    as_of: date,
    policies: Iterable[str] | None = None,
    known_at: str = "",
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    more: Mapping[str, Iterable[str]] | None = None,
    evaluator: Evaluator | None = None,
    engine: str = "kernel",
) -> Run:
    """Evaluate policies of a pack over records, as of a day and as known at a moment.

    `policies` defaults to all of the pack that are enforced, in force and complete; the others are in
    `Run.skipped` with the reason. `engine` is `kernel` (columns) or `duckdb` (SQL); both give the same cells.
    Raises PackError, RecordsError and MisuseError; in SQL a number that does not fit is told when it is read.
    """
    if engine not in ENGINES:
        raise MisuseError(f"没有引擎“{engine}”：可用 {'、'.join(ENGINES)}")
    store = records if isinstance(records, Store) else Store(records)
    names, skipped = chosen(pack, policies, as_of, parameters or {})
    evaluator = evaluator or _evaluator(pack, as_of, parameters or {})
    if policies is None:
        names = _complete(evaluator, names, skipped)
    wanted = evaluator.wanted(names, more)
    known = moment(known_at) if known_at else None
    computed: Computed
    if engine == "kernel":
        computed = KernelComputed(store.prepared, evaluator.program, evaluator.virtual, wanted, known).run()
    elif engine == "spark":
        tables = store.spark
        from ganbu.engine.spark import SparkComputed

        computed = SparkComputed(tables, evaluator.program, evaluator.virtual, wanted, known_at).run()
    else:
        from ganbu.engine.duck import DuckComputed

        computed = DuckComputed(store.tables, evaluator.program, evaluator.virtual, wanted, known_at).run()
    return Run(store, evaluator, names, computed, as_of, known_at, skipped)


__all__ = ["ENGINES", "Const", "Run", "Skipped", "Store", "chosen", "evaluate"]
