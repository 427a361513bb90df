"""Evaluating in Spark (Spark 引擎): the statements written for DuckDB, put into Spark's SQL.

One machine (`local[*]`) unless GANBU_SPARK_MASTER names a cluster. Spark's SQL differs silently from DuckDB's in many
places (peers measured 14): whole-number division, dates, windows with a filter, order of nulls. sqlglot turns what
it knows; `_rewritten` is the rest. Needs `ganbu[spark]` and Java 17.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Observation, SparkSession, functions
from sqlglot import exp

from ganbu.engine import calendar
from ganbu.engine.records import Records
from ganbu.engine.sql import WORKDAYS, Snapshot
from ganbu.engine.sqlrun import SqlComputed, SqlTables, seen
from ganbu.errors import GanbuError, MisuseError, PackError

PART = 1_000_000  # rows in sight for each part of a shuffle
BEYOND = (
    "OVERFLOW",
    "OUT_OF_RANGE",
    "DIVIDE_BY_ZERO",
    "DATETIME",
    "ArithmeticException",
)  # a value without a place
_NUMBERS = count(1)
FEW = 100_000  # rows in sight below which nothing is worth keeping between the steps of a run
SETTINGS = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",  # a number that does not fit is an error, never another number
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.driver.memory": os.environ.get("GANBU_SPARK_MEMORY", "4g"),
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()} "
    + os.environ.get("GANBU_SPARK_JAVA", ""),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.constraintPropagation.enabled": "false",  # its cost grows with every computed column
}


@cache
def session() -> SparkSession:
    """The Spark session of this process (会话). Raises MisuseError where Spark cannot start."""
    logging.getLogger("py4j").setLevel(logging.ERROR)
    master = os.environ.get("GANBU_SPARK_MASTER", "local[*]")
    if not master.startswith("local") and not os.environ.get("GANBU_SPARK_WORK"):
        raise MisuseError("在集群上要设 GANBU_SPARK_WORK：各机都看得见的一个文件夹，放中间步骤")
    builder = SparkSession.builder.appName("ganbu").master(master)
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    try:
        made = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        said = str(error).splitlines()[0]
        raise MisuseError(
            f"Spark 没有启动：{said}；要有 Java 17 以上，GANBU_SPARK_MASTER（{master}）要连得上"
        ) from error
    made.sparkContext.setLogLevel("OFF")
    return made


class SparkTables(SqlTables):
    """Records as Spark's tables, ready for any number of runs."""

    beside = False

    def __init__(self, snapshot: Snapshot, rows: int, read: Callable[[SparkTables, str], DataFrame]) -> None:
        """`read` gives a register as a data frame, its rows numbered in `rowid`."""
        super().__init__(snapshot)
        self.session, self.rows, self.read = session(), rows, read
        self.mark = f"s{next(_NUMBERS)}_"  # all records of a process share one session and its names
        self.whole = rows > FEW
        self.loaded: set[str] = set()
        self.partitions = max(self.session.sparkContext.defaultParallelism, self.rows // PART)

    @classmethod
    def of(cls, records: Records) -> SparkTables:
        """Records that lie in memory."""
        snapshot = seen(records.tables)

        def read(self: SparkTables, register: str) -> DataFrame:
            table = records.tables[register]
            for column in ("recorded_at", "superseded_at"):
                if register in snapshot.bitemporal and column not in table.column_names:
                    table = table.append_column(column, pa.nulls(table.num_rows, pa.timestamp("us")))
            return self.frame(
                table.append_column("rowid", pa.array(range(table.num_rows), pa.int64())), register
            )

        return cls(snapshot, sum(table.num_rows for table in records.tables.values()), read)

    @classmethod
    def of_folder(cls, folder: Path, snapshot: Snapshot, rows: int) -> SparkTables:
        """Registers as Parquet in a folder that every worker sees."""
        return cls(snapshot, rows, lambda self, register: self.session.read.parquet(str(folder / register)))

    def next_prefix(self) -> str:
        """A prefix of its own for the relations of each run over any records."""
        return self.mark + super().next_prefix()

    def load(self, register: str) -> None:
        """Make a register a table of Spark's, if it is not one yet."""
        if register not in self.loaded and register in self.snapshot.loaded:
            self.read(self, register).createOrReplaceTempView(_quoted(f"{self.mark}t_{register}"))
            self.loaded.add(register)

    @cached_property
    def work(self) -> Path:
        """Where steps are put down: a folder that every worker sees."""
        folder = tempfile.mkdtemp(prefix="ganbu-", dir=os.environ.get("GANBU_SPARK_WORK"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def frame(self, table: pa.Table, name: str) -> DataFrame:
        """An Arrow table as a data frame; `name` is what its file is called where it is put down."""
        if self.rows <= FEW:
            # In one piece: at an empty one Spark takes the table to be at its end.
            return self.session.createDataFrame(table.combine_chunks()).coalesce(1)
        path = self.work / f"{name}-in.parquet"
        pq.write_table(table, path)
        return self.session.read.parquet(str(path))

    def done(self, frame: DataFrame, name: str) -> DataFrame:
        """A step computed now, once: what follows reads its rows and not how they came about.

        Raises GanbuError where not every row that a worker wrote is there to be read.
        """
        if self.rows <= FEW:
            return self.frame(frame.toArrow(), name)  # held here, not by a worker that may die
        written = Observation()
        path = str(self.work / name)
        frame.observe(written, functions.count(functions.lit(1)).alias("rows")).write.mode(
            "overwrite"
        ).parquet(path)
        put_down = self.session.read.schema(frame.schema).parquet(path)
        # A worker that does not see the folder writes into one of its own, and says nothing.
        if put_down.count() != written.get["rows"]:
            raise GanbuError(
                f"{self.work} 不是各机都看得见的文件夹：写下的行读不全。请把 GANBU_SPARK_WORK 设在共享的盘上"
            )
        return put_down

    def forget(self, name: str) -> None:
        """Let go of a step."""
        shutil.rmtree(self.work / name, ignore_errors=True)


class SparkComputed(SqlComputed):
    """A program evaluated in Spark."""

    engine = "spark"
    tables: SparkTables

    def run(self) -> SparkComputed:
        """Lay out the relations; what several steps read is computed once and spread over the workers.

        Raises PackError where a number or date has no place.
        """
        spark = self.tables.session
        spark.conf.set("spark.sql.shuffle.partitions", self.tables.partitions)
        for register in self.backend.visible:
            self.tables.load(register)
        if self.backend.counts_workdays:
            self.tables.frame(calendar.lists(), WORKDAYS).createOrReplaceTempView(WORKDAYS)
        self.views: dict[str, exp.Expr] = {}
        for relation in self.relations:
            tree = sqlglot.parse_one(relation.text, read="duckdb")
            if not relation.kept:
                self.views[relation.name] = tree
                continue
            # Rows carry their number and are put in order at the end, not at every step.
            tree.set("order", None)
            with _told():
                frame = self.tables.done(self._asked(tree), relation.name)
            frame.createOrReplaceTempView(_quoted(relation.name))
        return self

    def query(self, text: str) -> pa.Table:
        """The answer to a query over the relations."""
        with _told():
            return self.frame(text).toArrow()

    def frame(self, text: str) -> DataFrame:
        """A query in DuckDB's words as a data frame that the workers compute."""
        return self._asked(sqlglot.parse_one(text, read="duckdb"))

    def _asked(self, tree: exp.Expr) -> DataFrame:
        """A query with the steps it reads that are not put down."""
        assert isinstance(tree, exp.Query)
        read = {table.name for table in tree.find_all(exp.Table)}
        for name in reversed(self.views):
            if name in read:
                read |= {table.name for table in self.views[name].find_all(exp.Table)}
        for name, view in self.views.items():
            if name in read:
                tree = tree.with_(exp.to_identifier(name, quoted=True), as_=view.copy(), copy=False)
        for table in tree.find_all(exp.Table):
            if table.name.startswith("t_"):
                table.set("this", exp.to_identifier(self.tables.mark + table.name))
        return self.tables.session.sql(_spoken(tree))

    def close(self) -> None:
        """Drop what the run computed."""
        for relation in self.relations:
            if relation.kept:
                self.tables.session.catalog.dropTempView(relation.name)
                self.tables.forget(relation.name)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except AnalysisException:
        raise
    except PySparkException as error:
        said = str(error).splitlines()[0]
        if any(word in str(error) for word in BEYOND):
            raise PackError(f"计算时数值溢出或日期越界：{said}", hint="请在中间步骤加 round()") from error
        raise GanbuError(f"Spark 没有算完：{said}；原因在 Spark 的日志里") from error


def _spoken(tree: exp.Expr) -> str:
    """A query of `sql.py` in Spark's SQL.

    >>> _spoken(sqlglot.parse_one("SELECT d + CAST(3 AS INTEGER) AS e FROM t", read="duckdb"))
    'SELECT DATE_ADD(`d`, CAST(3 AS INT)) AS `e` FROM `t`'
    """
    for node in reversed(list(tree.walk())):  # what is inside first
        spoken = _rewritten(node)
        if spoken is not node:
            node.replace(spoken)
    return tree.sql(dialect="spark", identify=True)


@cache
def _template(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read="spark")


def _said(text: str, **parts: exp.Expr) -> exp.Expr:
    """An expression in Spark's words, `:name` standing for its parts."""
    return exp.replace_placeholders(
        _template(text), **{name: exp.paren(part) for name, part in parts.items()}
    )


def _rewritten(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Paren() if _bare(node):
            return _expr(node.this)
        case exp.DataType(this=exp.DataType.Type.INT128):
            return exp.DataType.build("DECIMAL(38, 0)")
        case exp.IntDiv() if _wide(node.this):
            # DIV gives 64 bits whatever it is given; what the remainder is taken off divides without one.
            return _said("CAST((:a - (:a % :b)) / :b AS DECIMAL(38, 0))", a=node.this, b=node.expression)
        case exp.Sign():
            return _said("CASE WHEN :x > 0 THEN 1 WHEN :x < 0 THEN -1 WHEN :x = 0 THEN 0 END", x=node.this)
        case exp.Add(expression=exp.Cast() as days) if days.to.this == exp.DataType.Type.INT:
            return _said("DATE_ADD(:day, :days)", day=node.this, days=days)
        case exp.Add(expression=exp.Anonymous(this=function) as months) if function.lower() == "to_months":
            return _said("ADD_MONTHS(:day, :months)", day=node.this, months=months.expressions[0])
        case exp.Window(this=exp.Filter() as filtered):
            node.set("this", _only(filtered.this, filtered.expression.this))
            return node
        case exp.Try(this=exp.DateFromParts() as made):
            text = "TRY_TO_DATE(FORMAT_STRING('%04d-%02d-%02d', :year, :month, :day), 'yyyy-MM-dd')"
            return _said(text, year=made.args["year"], month=made.args["month"], day=made.args["day"])
        case exp.Try():
            return _expr(node.this)
        case exp.Anonymous(this=function) if function.lower() == "list_sum":
            return _top_sum(node.expressions[0])
        case exp.Anonymous(this=function) if function.lower() == "list_extract":
            return _said("GET(:items, :place - 1)", items=node.expressions[0], place=node.expressions[1])
    return node


_OPERATORS = (exp.Binary, exp.Unary, exp.Predicate, exp.IntDiv)


def _bare(node: exp.Paren) -> bool:
    """Whether brackets can go: Spark's parser looks ahead through every one of them, nested ones again and again."""
    inner, outer = node.this, node.parent
    if isinstance(inner, exp.Query):
        return False
    if isinstance(inner, (exp.Column, exp.Literal, exp.Paren)) or (
        isinstance(inner, exp.Func) and not isinstance(inner, _OPERATORS)
    ):
        return not isinstance(inner, exp.Literal) or not str(inner.this).startswith("-")
    return isinstance(outer, (exp.Alias, exp.Paren, exp.If, exp.Case)) or (
        isinstance(outer, exp.Func) and not isinstance(outer, _OPERATORS)
    )


def _wide(node: exp.Expr) -> bool:
    return any(found.this == exp.DataType.Type.DECIMAL for found in node.find_all(exp.DataType))


def _only(call: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """An aggregate of the rows that meet a condition, without FILTER: Spark's windows do not know it."""
    counted = call.this
    value = exp.Literal.number(1) if isinstance(counted, exp.Star) else counted
    call.set("this", exp.case().when(condition, value))
    return call


def _top_sum(node: exp.Expr) -> exp.Expr:
    """The sum of the n largest."""
    only = _template("TRUE")
    if isinstance(node, exp.Filter):
        only, node = node.expression.this, node.this
    text = "AGGREGATE(SLICE(SORT_ARRAY(COLLECT_LIST(CASE WHEN :only THEN :x END), FALSE), 1, :n), CAST(0 AS BIGINT), (a, b) -> a + b)"
    return _said(text, only=only.copy(), x=node.this, n=node.args["count"])


def _quoted(name: str) -> str:
    return f"`{name}`"


def _expr(node: object) -> exp.Expr:
    assert isinstance(node, exp.Expr)
    return node
