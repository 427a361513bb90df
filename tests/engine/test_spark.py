"""Spark gives the same cells: on scenarios of every kind of policy, on random rules and records, on a cluster.

All shipped scenarios: every_scenario_in_spark.py.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from ganbu import Records, load_pack
from ganbu.bench.data import corps
from ganbu.engine import scenario
from ganbu.engine.policy import KINDS, shipped_packs
from ganbu.engine.run import Store, evaluate
from ganbu.errors import GanbuError, MisuseError, PackError
from ganbu.records.province import gather
from tests.engine.test_engines_agree import _text, records
from tests.engine.test_random_policies import pack_of, policies

pytest.importorskip("pyspark")
# One Java machine for all of them.
pytestmark = [pytest.mark.xdist_group("spark"), pytest.mark.timeout(900)]
AS_OF = date(2024, 2, 29)
PACKS = {name: load_pack(folder) for name, folder in shipped_packs()}


def one_core(java: str) -> Iterator[None]:
    """Spark on one core with little memory, quick to start; `java` are further flags of the Java machine."""
    told = {
        "SPARK_CONF_DIR": str(Path(__file__).with_name("spark")), "GANBU_SPARK_MASTER": "local[1]", "GANBU_SPARK_MEMORY": "2g",
        "GANBU_SPARK_JAVA": f"-XX:+UseSerialGC -Xms1g -Xmn700m -XX:MetaspaceSize=300m {java}",
    }  # fmt: skip
    os.environ |= told
    yield
    for name in told:
        del os.environ[name]


@pytest.fixture(scope="module", autouse=True)
def _quick_to_start():
    yield from one_core("-XX:TieredStopAtLevel=1")


def untraced() -> dict[str, str]:
    """What a cluster and those who ask it are started with; what they run is counted where it runs on one machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def _chosen() -> list:
    """A few scenarios for each kind of policy, from as many packs as there are."""
    found = {}
    left = dict.fromkeys(KINDS, 2)
    for pack in PACKS.values():
        for body in pack.scenarios:
            told = {
                policy for step in [body, *(body.get("steps") or [])] for policy in (step.get("expect") or {})
            }
            kinds = {pack.reach[policy].kind for policy in told if policy in pack.reach}
            wanted = [kind for kind in kinds if left[kind]]
            if wanted:
                found[f"{pack.name}/{body['scenario']}"] = (pack, body)
                for kind in wanted:
                    left[kind] -= 1
                break
    assert not any(
        left[kind] == 2
        for kind in KINDS
        if kind in {p.kind for pack in PACKS.values() for p in pack.policies.values()}
    )
    return [pytest.param(*one, id=name) for name, one in found.items()]


def _agree(one, other):
    """All that the policies of two runs say, whether within their `where` or not; asked for at once, not rule by rule."""
    wanted = defaultdict(dict)
    for policy in one.names:
        judged = one.evaluator.judge(policy)
        columns = one.evaluator.columns(judged)
        if judged.lowered.layout != "effects":
            columns = {**columns, "在内": judged.inside}
        wanted[judged.shown_register] |= {(policy, label): node for label, node in columns.items()}
    for register, nodes in wanted.items():
        told = other.computed.fetch(register, nodes)
        for key, cells in one.computed.fetch(register, nodes).items():
            assert told[key].exact() == cells.exact(), key


def in_both(pack, store, as_of, names, known_at, parameters):
    """Evaluated by the kernel and by Spark, which says so where it cannot be exact: then there is nothing to compare."""
    one = evaluate(pack, store, as_of, names, known_at, parameters)
    try:
        other = evaluate(pack, store, as_of, names, known_at, parameters, engine="spark")
        _agree(one, other)
        other.close()
    except MisuseError as error:
        assert "比值" in str(error)
        for name in names if len(names) > 1 else ():  # of several it may be one
            in_both(pack, store, as_of, [name], known_at, parameters)
    return one


@pytest.mark.parametrize(("pack", "body"), _chosen())
def test_scenarios_give_the_same_cells_in_spark(pack, body, monkeypatch):
    monkeypatch.setattr(scenario, "evaluate", in_both)
    assert scenario.run_scenario(pack, body).failures == []


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    (folder / "pack.yaml").write_text(_text(), "utf-8")
    return load_pack(folder)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(rows=records())
def test_random_records_give_the_same_cells_in_spark(everything, rows):
    store = Store(Records.from_rows(rows))
    one, other = evaluate(everything, store, AS_OF), evaluate(everything, store, AS_OF, engine="spark")
    _agree(one, other)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=policies(), rows=records())
def test_random_policies_give_the_same_cells_in_spark(text, rows):
    pack = pack_of(text)
    store = Store(Records.from_rows(rows))
    one = evaluate(pack, store, AS_OF)
    try:
        _agree(one, evaluate(pack, store, AS_OF, engine="spark"))
    except (MisuseError, PackError) as error:  # numbers beyond 38 digits are refused, and it says so
        assert "比值" in str(error) or "溢出" in str(error)


def test_records_that_lie_in_pieces_are_all_seen(pack):
    made = pack("policy: 甲\nkind: score\ncomponents: {奖励: count(奖励)}\n")
    records = Records.from_rows(
        {"person": [{"person_id": "p"}, {"person_id": "q"}], "award": [{"person": "p"}]}
    )
    for name, table in records.tables.items():
        records.tables[name] = table.set_column(
            0,
            table.column_names[0],
            pa.chunked_array([*table[0].slice(0, 0).chunks, pa.array([], pa.string()), *table[0].chunks]),
        )
    told = evaluate(made, Store(records), AS_OF, engine="spark")
    assert told.rows("甲") == evaluate(made, Store(records), AS_OF).rows("甲") and len(told.rows("甲")) == 2


def test_two_records_in_one_process_do_not_see_each_other(pack):
    made = pack("policy: 甲\nkind: score\ncomponents: {奖励: count(奖励)}\n")
    stores = [
        Store(Records.from_rows({"person": [{"person_id": who}], "award": [{"person": who}] * times}))
        for who, times in (("p", 1), ("q", 2))
    ]
    runs = [evaluate(made, store, AS_OF, engine="spark") for store in (*stores, stores[0])]
    for run, who, times in zip(runs, "pqp", (1, 2, 1), strict=True):  # read after all were evaluated
        [row] = run.rows("甲")
        assert (row["对象"], row["数值"]) == (who, times)


def test_the_records_behind_a_number_are_found_in_spark(pack):
    from ganbu.engine.explain import explain

    made = pack("policy: 甲\nkind: score\ncomponents: {优秀: \"5 * count(年度考核, 等次 = '优秀')\"}\n")
    store = Store(
        Records.from_rows(
            {"person": [{"person_id": "p"}], "assessment": [{"person": "p", "year": 2020, "grade": "优秀"}]}
        )
    )
    run = evaluate(made, store, AS_OF, engine="spark")
    assert run.engine == "spark" and run.table("甲")["数值"].to_pylist() == [5]
    assert explain(made, "甲", "p", store, AS_OF)


def test_what_spark_says_is_told_in_our_words(pack, monkeypatch):
    from ganbu.engine import spark

    store = Store(Records.from_rows({"person": [{"person_id": "p"}]}))
    with pytest.raises(PackError, match="溢出"), spark._told():
        spark.session().sql("SELECT CAST(9223372036854775807 AS BIGINT) + id AS x FROM range(5)").collect()
    with pytest.raises(GanbuError, match="没有算完"), spark._told():
        spark.session().sql("SELECT raise_error('a worker is gone')").collect()
    # A worker with a folder of its own: what it wrote is not there to be read.
    monkeypatch.setattr(spark, "FEW", -1)
    frame = type(spark.session().range(1))
    real = frame.count
    monkeypatch.setattr(frame, "count", lambda self: real(self) - 1)
    made = pack("policy: 甲\nkind: score\ncomponents: {奖: count(奖励)}\n")
    with pytest.raises(GanbuError, match="不是各机都看得见"):
        evaluate(made, Store(store.records), AS_OF, engine="spark")


def test_a_cluster_needs_a_folder_that_all_see(monkeypatch):
    from ganbu.engine import spark

    monkeypatch.setenv("GANBU_SPARK_MASTER", "spark://127.0.0.1:1")
    monkeypatch.delenv("GANBU_SPARK_WORK", raising=False)
    with pytest.raises(MisuseError, match="GANBU_SPARK_WORK"):
        spark.session.__wrapped__()


def test_two_packs_over_many_rows_do_not_write_over_each_other(pack, monkeypatch):
    from ganbu.engine import spark

    monkeypatch.setattr(spark, "FEW", -1)
    rows = {"person": [{"person_id": "p", "birth_date": date(1980, 1, 1)}], "award": [{"person": "p"}]}
    store = Store(Records.from_rows(rows))
    one = pack('policy: 甲\nkind: score\ncomponents: {日: "workdays(2024-01-15, 2024-02-19)"}\n')
    two = pack(
        'policy: 乙\nkind: score\ncomponents: {奖: count(奖励), 日: "workdays(2024-01-15, 2024-02-19)"}\n'
    )
    for made in (one, two, one):
        found, told = evaluate(made, store, AS_OF), evaluate(made, store, AS_OF, engine="spark")
        assert told.rows(found.names[0]) == found.rows(found.names[0])
        told.close()


RULES = """
policy: 资格
kind: eligibility
require: {任满三年: "full_years(任职, 职务层次 = '乡科级正职') >= 3", 近三年优秀: "count(年度考核, 等次 = '优秀', last:3 年) >= 1"}
---
policy: 分
kind: score
components: {考核: {value: "{优秀: 3, 称职: 2, 其他: 0}[last(年度考核).等次] / 7", round: 2}, 奖励: "count(奖励)"}
---
policy: 名次
kind: rank
value: 分.数值
groups: [性别]
shares: {优秀: 20%, 称职: rest}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A real cluster on loopback: a master and two workers, each with an executor of its own."""
    import pyspark

    where = tmp_path_factory.mktemp("cluster")
    start = Path(pyspark.__file__).parent / "bin" / "spark-class"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    environment = {**untraced(), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "512m"}

    def begin(*words: str) -> subprocess.Popen[bytes]:
        # A group of its own: whoever kills a worker kills its executor too.
        with (where / "log").open("ab") as log:
            return subprocess.Popen(
                [str(start), *words], env=environment, stdout=log, stderr=log, start_new_session=True
            )

    running = [
        begin(
            "org.apache.spark.deploy.master.Master",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--webui-port",
            "0",
        )
    ]
    _until(lambda: _answers(port))
    for at in range(2):
        running.append(
            begin(
                "org.apache.spark.deploy.worker.Worker",
                "--host",
                "127.0.0.1",
                "--webui-port",
                "0",
                "-c",
                "1",
                "-m",
                "1g",
                "-d",
                str(where / f"worker{at}"),
                address,
            )
        )
    yield address, running
    for process in running:
        _kill(process)


def _until(there, seconds=60):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def _answers(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def _kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_a_cluster_evaluates_a_province_though_a_worker_is_killed(cluster, tmp_path):
    address, running = cluster
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "pack.yaml").write_text(RULES, "utf-8")
    for at, people in enumerate((3600, 3000)):
        Records.from_tables(corps(people)).write(tmp_path / f"county{at}")
    gather({"甲县": tmp_path / "county0", "乙县": tmp_path / "county1"}, tmp_path / "province")
    work = tmp_path / "work"
    work.mkdir()

    def begin(engine, **more):
        words = [
            "-m",
            "ganbu.cli",
            "province",
            "evaluate",
            str(tmp_path / "province"),
            str(tmp_path / "rules"),
            "--as-of",
            "2026-06-30",
        ]
        return subprocess.Popen(
            [sys.executable, *words, "--engine", engine, "--out", str(tmp_path / engine)], env={**untraced(), **more},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    with begin(
        "spark", GANBU_SPARK_MASTER=address, GANBU_SPARK_WORK=str(work), SPARK_LOCAL_IP="127.0.0.1"
    ) as asked:
        # The first step is on disk, those after it are not: now a worker dies.
        _until(lambda: asked.poll() is not None or list(work.glob("*/*_r1_*/_SUCCESS")), 300)
        assert asked.poll() is None, asked.stderr.read()
        _kill(running[1])
        said = asked.communicate(timeout=600)
    assert asked.returncode == 0, said
    with begin("kernel") as alone:
        said = alone.communicate(timeout=120)
    assert alone.returncode == 0, said
    for region in ("甲县", "乙县"):
        for policy in ("资格", "分", "名次"):
            one, two = (
                pq.read_table(tmp_path / engine / region / f"{policy}.parquet")
                for engine in ("kernel", "spark")
            )
            assert one.num_rows in (3600, 3000) and two.equals(one), (region, policy)
    assert list(work.iterdir()) == [], "what was put down on the way is cleared away"
    shutil.rmtree(tmp_path / "province")
