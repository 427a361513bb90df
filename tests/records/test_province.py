"""Counties gathered into one: identities, people known in several, rows sent twice, results handed back."""

import json
import os
import subprocess
import sys
import zipfile
from datetime import date

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ganbu import Records, evaluate, load_pack
from ganbu.cli import app
from ganbu.engine import mapped
from ganbu.engine.kernel import Prepared
from ganbu.errors import GanbuError, MisuseError, RecordsError
from ganbu.records.province import Gathered, gather, hand_back

NUMBER = "110101198001010010"
RULES = """
policy: 奖励数
kind: score
components: {奖: count(奖励), 在任: "count(任职, 免职时间 is missing)"}
---
policy: 名次
kind: rank
value: 奖励数.数值
groups: []
counts: {红榜: 1}
---
policy: 女干部
kind: quota
parts: {女: {where: "性别 = '女'", at_least: 1}}
"""


def _county(folder, who, **more):
    rows = {
        "person": [{"person_id": "1", "name": who, "sex": "女", "birth_date": date(1980, 1, 1), **more}, {"person_id": "2", "name": f"{who}二", "sex": "男", "birth_date": date(1990, 2, 28)}],
        "unit": [{"unit_id": "局", "name": f"{who}局"}],
        "appointment": [{"person": "1", "unit": "局", "title": "局长", "start_date": date(2015, 1, 1), "end_date": date(2020, 1, 1)}],
        "award": [{"person": "1", "name": "先进", "date": date(2019, 5, 1)}, {"person": "2", "name": "先进", "date": date(2019, 5, 1)}],
    }  # fmt: skip
    return Records.from_rows(rows)


@pytest.fixture
def counties(tmp_path):
    """甲县 and 乙县 both know one person by number; 乙县 holds the post of today and lacks the party date."""
    one = _county(tmp_path, "李芳", id_number=NUMBER, party_date=date(2001, 7, 1), native_place="山东")
    two = _county(tmp_path, "李芳", id_number=NUMBER.lower(), native_place="江苏")
    two.add("appointment", Records.from_rows({"appointment": [
        {"person": "1", "unit": "局", "title": "局长", "start_date": date(2015, 1, 1), "end_date": date(2020, 1, 1)},
        {"person": "1", "unit": "局", "title": "书记", "start_date": date(2020, 1, 1)},
    ]}).tables["appointment"])  # fmt: skip
    one.write(tmp_path / "one")
    two.write(tmp_path / "two")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for path in (tmp_path / "two").iterdir():
            archive.write(path, f"two/{path.name}")
    return {"甲县": tmp_path / "one", "乙县": tmp_path / "two.zip"}


def test_one_person_of_two_counties_is_one_and_their_rows_are_counted_once(counties, tmp_path):
    found = gather(counties, tmp_path / "all")
    assert (found.shared, found.repeated, found.differences, found.alike) == (1, 2, 1, 1)
    store = Gathered(tmp_path / "all")
    people = {row["person_id"]: row for row in store.records.rows("person")}
    assert set(people) == {"乙县:1", "甲县:2", "乙县:2"}
    kept = people["乙县:1"]
    assert kept["native_place"] == "江苏" and kept["party_date"] == date(2001, 7, 1), (
        "gaps are filled, values are not replaced"
    )
    posts = store.records.rows("appointment")
    assert sorted((row["person"], row["unit"], row["title"]) for row in posts) == [
        ("乙县:1", "乙县:局", "书记"),
        ("乙县:1", "甲县:局", "局长"),
    ]
    assert sorted(row["person"] for row in store.records.rows("award")) == ["乙县:1", "乙县:2", "甲县:2"]
    told = pq.read_table(tmp_path / "all" / "_differences.parquet").to_pylist()
    assert [(row["merged"], row["region"], row["value"]) for row in told] == [("乙县:1", "甲县", "山东")]


@pytest.mark.parametrize("engine", ["kernel", "duckdb"])
def test_every_county_gets_its_results_under_its_own_identities(counties, tmp_path, pack, engine):
    gather(counties, tmp_path / "all")
    store = Gathered(tmp_path / "all")
    run = evaluate(pack(RULES), store, date(2026, 6, 30), engine=engine)
    written = hand_back(run, store, tmp_path / "out")
    assert written == {"甲县": 4, "乙县": 4, "全省": 1}
    for region in counties:
        rows = pq.read_table(tmp_path / "out" / region / "奖励数.parquet").to_pylist()
        assert {row["对象"]: row["数值"] for row in rows} == {"1": 2, "2": 1}
        assert len(pq.read_table(tmp_path / "out" / region / "名次.parquet")) == 2
    assert pq.read_table(tmp_path / "out" / "全省" / "女干部.parquet").to_pylist()[0]["实有"] == 1


def test_what_was_prepared_of_a_gathered_folder_is_kept_beside_it(counties, tmp_path, pack, monkeypatch):
    monkeypatch.setattr(mapped, "LEAST", 1)
    gather(counties, tmp_path / "all")
    first = evaluate(pack(RULES), Gathered(tmp_path / "all"), date(2026, 6, 30))
    assert list((tmp_path / "all" / "_columns").glob("*.arrow"))
    for name in ("_stand", "_lead", "_by_identity", "_laid_down"):
        monkeypatch.setattr(Prepared, name, lambda *_args: pytest.fail("made again"))
    again = evaluate(pack(RULES), Gathered(tmp_path / "all"), date(2026, 6, 30))
    assert [first.rows(name) for name in first.names] == [again.rows(name) for name in again.names]


ASKED = """
registers:
  asked:
    label: 测评
    subject: person
    fields:
      ask_id: {label: 测评编号, type: id}
      person: {label: 人员, type: ref(person)}
      order: {label: 顺序, type: int}
      standing: {label: 站位, type: "decimal(9,%s)"}
---
policy: 名次
kind: rank
subject: 测评
value: 顺序
groups: []
ties: row
counts: {红榜: 1}
---
policy: 站位
kind: score
subject: 测评
components: {站: 站位}
"""


def _asked(tmp_path, name, scale):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "pack.yaml").write_text(f"pack: {name}" + ASKED % scale, "utf-8")
    return load_pack(folder)


def test_fields_called_like_what_is_kept_beside_them_and_declared_otherwise_by_packs(tmp_path, monkeypatch):
    """An identity order, a standing and a column have names of their own; a column is kept as the record declares it."""
    one, two = _asked(tmp_path, "one", 2), _asked(tmp_path, "two", 4)
    asked = [{"ask_id": f"{at}", "person": str(1 + at % 2), "order": -at % 7, "standing": f"{at}.5"} for at in range(30)]  # fmt: skip
    people = [{"person_id": "2", "name": "乙"}, {"person_id": "1", "name": "甲"}]
    Records.from_rows({"person": people, "测评": asked}, one.vocabulary).write(tmp_path / "county")
    gather({"甲县": tmp_path / "county"}, tmp_path / "all", one.vocabulary)

    def found(pack):
        run = evaluate(pack, Gathered(tmp_path / "all", one.vocabulary), date(2026, 6, 30))
        return [run.rows(name) for name in run.names]

    plain = [found(pack) for pack in (one, two)]
    monkeypatch.setattr(mapped, "LEAST", 1)
    for _process in range(2):
        assert [found(pack) for pack in (two, one)] == plain[::-1]


def test_a_province_needs_no_installation():
    own = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "GANBU"))}
    done = subprocess.run([sys.executable, "-c", "import ganbu.records.province"], env=own, check=False)
    assert done.returncode == 0


def test_people_without_a_number_are_named_not_merged(tmp_path):
    for name in ("one", "two"):
        _county(tmp_path, "李芳").write(tmp_path / name)
    found = gather({"甲县": tmp_path / "one", "乙县": tmp_path / "two"}, tmp_path / "all")
    assert (found.shared, found.alike, found.rows["person"]) == (0, 2, 4)
    assert pq.read_table(tmp_path / "all" / "_alike.parquet").to_pylist()[0] == {
        "one": "甲县:1",
        "other": "乙县:1",
        "name": "李芳",
    }


def test_what_is_known_and_when_and_half_known_days_survive(tmp_path):
    rows = {
        "person": [{"person_id": "1", "birth_date": "1980-05"}],
        "award": [{"award_id": "a", "person": "1", "date": "2019", "recorded_at": "2020-01-01T00:00:00"}],
    }
    Records.from_rows(rows).write(tmp_path / "one")
    Records.from_rows(
        {"person": [{"person_id": "1"}], "award": [{"person": "1", "date": "2018-01-01"}]}
    ).write(tmp_path / "two")
    gather({"甲": tmp_path / "one", "乙": tmp_path / "two"}, tmp_path / "all")
    store = Gathered(tmp_path / "all")
    assert store.snapshot.bitemporal == {"award"} and ("award", "date") in store.snapshot.partial
    assert store.records.rows("person")[0]["birth_date"].iso() == "1980-05"
    assert store.records.tables["award"]["superseded_at"].null_count == 2


def test_a_package_that_cannot_be_read_leaves_nothing_and_says_which(counties, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "person.csv").write_text("person_id,出生年\n1,2\n", "utf-8")
    with pytest.raises(RecordsError, match=r"丙县：.*person\.csv.*出生年"):
        gather({**counties, "丙县": tmp_path / "bad"}, tmp_path / "all")
    assert not (tmp_path / "all").exists() and not list(tmp_path.glob(".all-*"))
    for name in ("", "甲:县", "a/b", "全省", ".x"):
        with pytest.raises(MisuseError, match="县名"):
            gather({name: tmp_path / "one"}, tmp_path / "all")
    gather(counties, tmp_path / "all")
    with pytest.raises(MisuseError, match="不是空文件夹"):
        gather(counties, tmp_path / "all")
    with pytest.raises(RecordsError, match="不是汇总文件夹"):
        Gathered(tmp_path / "one")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../person.csv", "person_id\n1\n")
    with pytest.raises(GanbuError, match="指向压缩包之外"):
        gather({"甲县": tmp_path / "evil.zip"}, tmp_path / "none")


def test_from_the_command_line(counties, tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "pack.yaml").write_text(RULES, "utf-8")
    runner, named = CliRunner(), [f"{name}={path}" for name, path in counties.items()]
    told = runner.invoke(
        app, ["province", "gather", *named, "--into", str(tmp_path / "all")], catch_exceptions=False
    )
    assert told.exit_code == 0 and "几县都有、合为一人：1" in told.output and "2 个县" in told.output
    told = runner.invoke(
        app,
        ["province", "gather", *named, "--into", str(tmp_path / "more"), "--format", "json"],
        catch_exceptions=False,
    )
    assert json.loads(told.output)["repeated"] == 2
    asked = [
        "province",
        "evaluate",
        str(tmp_path / "all"),
        str(tmp_path / "rules"),
        "--as-of",
        "2026-06-30",
        "--out",
        str(tmp_path / "out"),
    ]
    assert "甲县" in runner.invoke(app, asked, catch_exceptions=False).output
    with pytest.raises(MisuseError, match="不是空文件夹"):
        runner.invoke(app, asked, catch_exceptions=False)
    asked[-1] = str(tmp_path / "again")
    assert json.loads(runner.invoke(app, [*asked, "--format", "json"], catch_exceptions=False).output) == {
        "engine": "kernel",
        "policies": 3,
        "rows": {"甲县": 4, "乙县": 4, "全省": 1},
    }
    with pytest.raises(MisuseError, match="写了两次"):
        runner.invoke(
            app,
            ["province", "gather", named[0], named[0], "--into", str(tmp_path / "x")],
            catch_exceptions=False,
        )
    assert load_pack(tmp_path / "rules").policies


def test_what_stands_in_for_a_number_merges_nobody(tmp_path):
    for name, who in (("one", "甲某"), ("two", "乙某")):
        Records.from_rows({"person": [{"person_id": "1", "name": who, "id_number": "1" * 18}]}).write(
            tmp_path / name
        )
    found = gather({"甲": tmp_path / "one", "乙": tmp_path / "two"}, tmp_path / "all")
    assert (found.shared, found.rows["person"]) == (0, 2)


def test_two_people_of_one_county_with_one_number_stay_that_countys_to_sort_out(tmp_path, pack):
    same = {"name": "李芳", "id_number": NUMBER}
    Records.from_rows({"person": [{"person_id": "1", **same}, {"person_id": "2", **same}]}).write(
        tmp_path / "one"
    )
    Records.from_rows({"person": [{"person_id": "9", **same}]}).write(tmp_path / "two")
    gather({"甲": tmp_path / "one", "乙": tmp_path / "two"}, tmp_path / "all")
    store = Gathered(tmp_path / "all")
    run = evaluate(pack(RULES), store, date(2026, 6, 30))
    hand_back(run, store, tmp_path / "out")
    told = {r: pq.read_table(tmp_path / "out" / r / "名次.parquet")["对象"].to_pylist() for r in ("甲", "乙")}
    assert told == {"甲": ["1", "2"], "乙": ["9"]}


def test_registers_a_county_did_not_send_are_named(tmp_path):
    Records.from_rows({"person": [{"person_id": "1"}], "award": [{"person": "1"}]}).write(tmp_path / "one")
    Records.from_rows({"person": [{"person_id": "1"}]}).write(tmp_path / "two")
    named = [f"{name}={tmp_path / folder}" for name, folder in (("甲", "one"), ("乙", "two"))]
    told = CliRunner().invoke(
        app, ["province", "gather", *named, "--into", str(tmp_path / "all")], catch_exceptions=False
    )
    assert "乙没有这些登记表，按没有记录算：奖励" in told.output


def test_a_superseded_post_tells_nothing_of_today(tmp_path):
    """The county that holds the person now gives the row, whatever was once recorded and taken back."""
    who = {"name": "李芳", "id_number": NUMBER}
    past = {
        "person": "1",
        "start_date": date(2025, 1, 1),
        "recorded_at": "2025-01-01T00:00:00",
        "superseded_at": "2025-02-01T00:00:00",
    }
    Records.from_rows({"person": [{"person_id": "1", **who}], "appointment": [past]}).write(tmp_path / "one")
    Records.from_rows(
        {
            "person": [{"person_id": "1", **who}],
            "appointment": [{"person": "1", "start_date": date(2020, 1, 1)}],
        }
    ).write(tmp_path / "two")
    gather({"甲": tmp_path / "one", "乙": tmp_path / "two"}, tmp_path / "all")
    assert [row["person_id"] for row in Gathered(tmp_path / "all").records.rows("person")] == ["乙:1"]


def test_registers_of_a_countys_own_are_gathered_with_the_pack_that_declares_them(tmp_path):
    from ganbu.engine.policy import words_of

    words = words_of(["registers"])
    own = next(register for register in words.registers.values() if register.local)
    records = Records.from_rows({"person": [{"person_id": "1"}], own.name: [{own.id_field: "x"}]}, words)
    records.write(tmp_path / "one")
    named = ["province", "gather", f"甲={tmp_path / 'one'}", "--into", str(tmp_path / "all")]
    with pytest.raises(RecordsError, match=f"甲：.*{own.name}"):
        CliRunner().invoke(app, named, catch_exceptions=False)
    told = CliRunner().invoke(app, [*named, "--pack", "registers"], catch_exceptions=False)
    assert told.exit_code == 0 and own.label in told.output
    assert Gathered(tmp_path / "all").records.tables.keys() == {"person"}, (
        "rules that do not know it go on without it"
    )
