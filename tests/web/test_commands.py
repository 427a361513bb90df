"""An installation run from the command line, each command a process of its own, as whoever looks after it does."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import docx
import pytest
from django.core.management import call_command
from django.db import connection

from ganbu.access import audit
from ganbu.access.models import AuditEntry
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.errors import MisuseError, RecordsError
from ganbu.formats.form import AppointmentForm
from ganbu.formats.lrmx import read_lrmx, write_lrmx
from ganbu.formats.tables import read_sheets
from ganbu.records import batches, writing
from ganbu.records.local import vocabulary
from ganbu.records.models import Card, Change
from ganbu.synthetic import build_district
from ganbu.synthetic.files import PORTRAIT
from ganbu.vocabulary import load_vocabulary
from ganbu.web import worker
from ganbu.web.backups import ABOUT, restore
from tests.warm import PLAIN, Warm

PASSWORD = {"GANBU_PASSWORD": "correct horse battery"}
_warm: list[Warm] = []


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory):
    _warm.append(Warm(tmp_path_factory.mktemp("warm")))
    yield
    _warm.pop().close()


def ganbu(home: Path, *args: object, **more: str) -> tuple[int, str]:
    """Exit code, and what was said on both streams."""
    code, *said = _warm[0].run(*args, **{**PASSWORD, "GANBU_HOME": str(home), **more})
    assert "Traceback" not in "".join(said), said
    return code, "".join(said)


def process(home: Path, *args: object, code: str = "from ganbu.cli import main; main()") -> subprocess.Popen[str]:  # fmt: skip
    """A command that is meddled with while it runs, in a group of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(
        command, env={**PLAIN, "GANBU_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip


def done(home: Path, *args: object) -> str:
    code, said = ganbu(home, *args)
    assert code == 0, said
    return said


def ask(home: Path, question: str) -> list[tuple]:
    held = sqlite3.connect(home / "ganbu.sqlite3")
    found = held.execute(question).fetchall()
    held.close()
    return found


def tamper(home: Path, table: str, statement: str) -> None:
    """Change a table behind the program's back, triggers or not."""
    held = sqlite3.connect(home / "ganbu.sqlite3")
    with held:
        held.execute(f"DROP TRIGGER {table}_keep")
        assert held.execute(statement).rowcount == 1
    held.close()


def standing(home: Path) -> dict[str, list[tuple]]:
    """What holds in the record and is seen of it, by table; a sealed value is sealed anew each time it is written."""
    found, registers = {}, load_vocabulary().registers
    for name in (*registers, "local"):
        sealed = {item.name for item in registers[name].fields.values() if item.sealed} if name in registers else set()  # fmt: skip
        columns = [c for _, c, *_ in ask(home, f"PRAGMA table_info(record_{name})") if c != "row" and not c.startswith("meta_")]  # fmt: skip
        chosen = ", ".join(f'"{c}" IS NULL' if c in sealed else f'"{c}"' for c in columns)
        rows = ask(home, f"SELECT {chosen} FROM record_{name} WHERE meta_superseded_at IS NULL")
        found[name] = sorted(rows, key=str)
    found["cards"] = ask(home, "SELECT person, name, post, completeness FROM records_card ORDER BY person")
    found["photos"] = ask(home, "SELECT person, image FROM records_photo WHERE change_id NOT IN (SELECT undoes_id FROM records_change WHERE undoes_id IS NOT NULL) ORDER BY id")  # fmt: skip
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


NEWCOMER = AppointmentForm(
    name="新来者", sex="男", birth_date="198003", ethnic_group="汉族", work_start="200207", id_number="370102198003141237",
    resume="2002.07--         某县某局科员", photo=PORTRAIT,
)  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A home with a database and one administrator, and nobody on record."""
    home = tmp_path_factory.mktemp("bare")
    done(home, "create-admin", "xitong", "--kind", "system", "--name", "系统员")
    return home


@pytest.fixture(scope="module")
def filled(bare, tmp_path_factory):
    """The same with a small district in it, with rows of a register that a pack declares."""
    rows = {name: found[:100] for name, found in build_district(24).items()}
    rows["deed"][0]["source"] = "群众来信"
    rows["visit_log"] = [{"visit_id": "v1", "person": "G000001", "date": "2026-05-01"}]
    folder = tmp_path_factory.mktemp("district")
    Records.from_rows(rows, load_pack("registers").vocabulary).write(folder)
    home = tmp_path_factory.mktemp("filled") / "home"
    shutil.copytree(bare, home)
    assert "新增 24 人" in done(home, "import", folder)
    return home


@pytest.fixture
def empty(bare, tmp_path):
    return Path(shutil.copytree(bare, tmp_path / "empty"))


@pytest.fixture
def home(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "home"))


def test_the_three_administrators_are_made_apart_and_only_once(empty):
    assert "已建立 安全员（anquan）" in done(empty, "create-admin", "anquan", "--kind", "security", "--name", "安全员")  # fmt: skip
    code, said = ganbu(empty, "create-admin", "XiTong", "--kind", "audit")
    assert code == 1 and "已经有了" in said
    code, said = ganbu(empty, "create-admin", "shenji", "--kind", "audit", GANBU_PASSWORD="12345678")
    assert code == 1 and "密码不合要求" in said
    code, said = ganbu(empty, "create-admin", "shenji", "--kind", "root")
    assert code == 2 and "system、security、audit" in said
    held = ask(empty, "SELECT username, role, must_change, password FROM access_account a JOIN access_grant g ON g.account_id = a.id ORDER BY a.id")  # fmt: skip
    assert [row[:3] for row in held] == [("xitong", "system_admin", 1), ("anquan", "security_admin", 1)]
    assert all(row[3].startswith("scrypt$") for row in held)


@pytest.mark.parametrize("command", [["verify"], ["rotate-keys"], ["backup", "b.zip"], ["work", "--once"]])
def test_what_needs_a_database_says_that_there_is_none_and_makes_none(tmp_path, command):
    code, said = ganbu(tmp_path / "nowhere", *command)
    assert code == 2 and "请先运行 ganbu migrate" in said
    assert not (tmp_path / "nowhere").exists()


def test_a_database_older_than_the_program_is_not_touched(empty):
    held = sqlite3.connect(empty / "ganbu.sqlite3")
    with held:
        held.execute("DELETE FROM django_migrations WHERE app = 'records'")
    held.close()
    before = (empty / "ganbu.sqlite3").read_bytes()
    code, said = ganbu(empty, "export", "records", "--out", empty / "out")
    assert code == 2 and "比程序旧" in said and "ganbu migrate" in said
    assert (empty / "ganbu.sqlite3").read_bytes() == before


def test_verify_tells_the_head_of_a_whole_chain(home):
    ((count, head),) = ask(home, "SELECT count(*), (SELECT digest FROM access_auditentry ORDER BY id DESC) FROM access_auditentry")  # fmt: skip
    said = done(home, "verify")
    assert f"审计 {count} 条" in said and head in said


def test_verify_finds_an_entry_of_the_audit_that_was_changed(home):
    tamper(home, "access_auditentry", "UPDATE access_auditentry SET subject = 'xitonh' WHERE subject = 'xitong' AND action = 'grant.give'")  # fmt: skip
    code, said = ganbu(home, "verify")
    assert code == 1 and "的内容被改动" in said and "核验不通过：1 处" in said


def test_verify_finds_a_person_that_was_changed(home):
    tamper(home, "record_person", "UPDATE record_person SET sex = CASE sex WHEN '男' THEN '女' ELSE '男' END WHERE row = 3")  # fmt: skip
    code, said = ganbu(home, "verify")
    assert code == 1 and "变更第 1 号" in said and "核验不通过：1 处" in said


def test_verify_finds_one_byte_that_makes_the_text_unreadable(home):
    content = (home / "ganbu.sqlite3").read_bytes()
    where = [at for at in range(len(content)) if content.startswith("群众来信".encode(), at)]
    assert len(where) == 1
    with (home / "ganbu.sqlite3").open("r+b") as stream:
        stream.seek(where[0])
        stream.write(b"\xff")
    code, said = ganbu(home, "verify")
    assert code == 1 and "读不出" in said


def otherwise(column: str, was: object, other: int) -> object:
    if column in ("meta_change", "meta_superseded_by"):
        return other
    if column.endswith("_at"):
        return "1999-01-01 00:00:00"
    return '{"x": 1}' if column == "values" else not was if isinstance(was, bool) else "改"


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the triggers of SQLite are what this goes round")
@pytest.mark.parametrize("name", ["person", "visit_log"])
def test_no_column_of_a_row_can_be_changed_unseen(someone, name):
    register = vocabulary().registers[name]
    plain = {"person": someone.pk} if register.local else {"name": "甲", "sex": "男", "id_number": "110102198003020021", "spouse_abroad": True}  # fmt: skip
    table = "record_local" if register.local else f"record_{name}"
    identity = "identity" if register.local else register.id_field
    with connection.cursor() as cursor:
        columns = [c.name for c in connection.introspection.get_table_description(cursor, table) if c.name != "row"]  # fmt: skip
        changes = {}
        for column in columns:  # each in a row of a change of its own
            with writing.writing("add", "填报") as act:
                act.add(register, [{register.id_field: f"改{column}", **plain}])
            changes[column] = act.change.pk
        assert list(writing.verify()) == []
        cursor.execute(f"DROP TRIGGER {table}_keep")
        for column in columns:
            cursor.execute(f'SELECT "{column}" FROM {table} WHERE {identity} = %s', [f"改{column}"])
            ((was,),) = cursor.fetchall()
            wrong = otherwise(column, was, changes[columns[-1]])
            cursor.execute(f'UPDATE {table} SET "{column}" = %s WHERE {identity} = %s', [wrong, f"改{column}"])  # fmt: skip
    told = "\n".join(writing.verify())
    assert [column for column in columns if f"变更第 {changes[column]} 号（" not in told] == []


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the triggers of SQLite are what this goes round")
def test_a_change_made_anew_or_taken_out_with_all_its_rows_shows(someone):
    register = vocabulary().registers["visit_log"]
    with writing.writing("add", "填报") as act:
        act.add(register, [{"visit_id": "v1", "person": someone.pk}])
    with connection.cursor() as cursor:
        for trigger in ("record_local_stay", "records_change_keep", "records_change_stay"):
            cursor.execute(f"DROP TRIGGER {trigger}")
        for statement in ("UPDATE records_change SET reason = '补报' WHERE id = %s", "UPDATE records_change SET actor = '某人' WHERE id = %s"):  # fmt: skip
            cursor.execute(statement, [act.change.pk])
            assert any("与指纹不符" in line for line in writing.verify())
        forged = Change.objects.get(pk=act.change.pk)
        register_sum = {"visit_log": act.sums["visit_log"]}
        Change.objects.filter(pk=forged.pk).update(digest=writing.digest_of(forged, register_sum))
        assert [line for line in writing.verify() if "审计记录" in line]
        cursor.execute("DELETE FROM record_local")
        cursor.execute("DELETE FROM records_change WHERE id = %s", [act.change.pk])
        assert list(writing.verify()) == [f"变更第 {act.change.pk} 号不见了"]
        cursor.execute("DROP TRIGGER access_auditentry_stay")
        AuditEntry.objects.filter(pk=AuditEntry.objects.first().pk - 1).delete()
        assert any("断开" in line for line in audit.verify())


def test_what_was_backed_up_is_restored_and_nothing_is_overwritten(home, tmp_path):
    kept, new = tmp_path / "备份.zip", tmp_path / "new"
    (home / "uploads" / "a").mkdir(parents=True)
    (home / "uploads" / "a" / "甲.lrmx").write_bytes(b"x")
    done(home, "backup", kept)
    with zipfile.ZipFile(kept) as archive:
        assert {"ganbu-backup.json", "database", "uploads/a/甲.lrmx"} == set(archive.namelist()), "no keys"
    code, said = ganbu(home, "backup", kept)
    assert code == 2 and "不会覆盖" in said
    told = standing(home)
    code, said = ganbu(home, "restore", kept)
    assert code == 2 and "--replace" in said and standing(home) == told
    done(new, "restore", kept)
    assert standing(new) == told and (new / "uploads" / "a" / "甲.lrmx").read_bytes() == b"x"
    shutil.copy(home / "keys" / "field-keys.json", new / "keys")
    assert "全部相符" in done(new, "verify")
    assert [action for (action,) in ask(new, "SELECT action FROM access_auditentry ORDER BY id")][-2:] == ["backup", "restore"]  # fmt: skip


def test_what_stood_there_is_replaced_when_told_to(home, empty, tmp_path):
    kept = tmp_path / "b.zip"
    done(empty, "backup", kept)
    (home / "uploads").mkdir()
    (home / "uploads" / "旧.lrmx").write_bytes(b"x")
    done(home, "restore", kept, "--replace")
    assert standing(home) == standing(empty) and not (home / "uploads").exists()


def damaged(tmp_path: Path, **parts: bytes) -> Path:
    about = {"vendor": connection.vendor, "made_at": "2026-06-30", "head": "0"}
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {ABOUT: json.dumps(about).encode(), **parts}.items():
            archive.writestr(name, content)
    return tmp_path / "b.zip"


def halved(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[content.index(b"database") + 5_000] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda p: halved(damaged(p, database=os.urandom(50_000))), "不是 Ganbu 的备份文件，或已损坏"),
        (lambda p: flipped(damaged(p, database=bytes(range(256)) * 10_000)), "或已损坏"),
        (lambda p: flipped(damaged(p, database=os.urandom(50_000))), "或已损坏"),
        (lambda p: damaged(p), "或已损坏"),
        (lambda p: damaged(p, **{ABOUT: b"[]", "database": b""}), "或已损坏"),
        (lambda p: damaged(p, **{"database": b"", "uploads/../../x": b""}), "不该有的路径"),
        (lambda p: p, "读不了"),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path, made, said):
    with pytest.raises(RecordsError, match=said):
        restore(made(tmp_path), replace=True)


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a dump of PostgreSQL is text")
def test_a_backup_of_another_database_or_of_a_broken_one_is_refused(tmp_path):
    with pytest.raises(RecordsError, match="不完整"):
        restore(damaged(tmp_path, database=b"SQLite format 3\0" + os.urandom(5_000)), replace=True)
    other = json.dumps({"vendor": "oracle", "made_at": "", "head": ""}).encode()
    with pytest.raises(MisuseError, match="oracle"):
        restore(damaged(tmp_path, **{ABOUT: other, "database": b""}), replace=True)
    with pytest.raises(MisuseError, match="没有备份文件"):
        restore(tmp_path / "none.zip", replace=True)


def test_after_a_rotation_the_old_key_is_needed_for_nothing(home, tmp_path):
    columns = [(r.name, f.name) for r in load_vocabulary().registers.values() for f in r.fields.values() if f.sealed]  # fmt: skip

    def used() -> set[str]:
        values = [v for table, c in columns for (v,) in ask(home, f"SELECT {c} FROM record_{table} WHERE {c} <> ''")]  # fmt: skip
        assert len(values) > 24
        return {value.partition(":")[0] for value in values}

    assert used() == {"1"}
    before = standing(home)
    assert "第 2 号" in done(home, "rotate-keys")
    assert used() == {"2"} and standing(home) == before
    path = home / "keys" / "field-keys.json"
    held = json.loads(path.read_text("utf-8"))
    assert path.stat().st_mode & 0o077 == 0 and held["keys"].pop("1")
    path.write_text(json.dumps(held), "utf-8")
    assert "全部相符" in done(home, "verify")
    number = build_district(24)["person"][0]["id_number"]
    done(home, "export", "lrmx", "--out", tmp_path / "out")
    assert number in {read_lrmx(content, name).id_number for name, content in files(tmp_path / "out").items()}  # fmt: skip


def test_packs_are_adopted_and_an_unknown_one_changes_nothing(empty):
    assert done(empty, "adopt", "national", "jiangsu/nantong").strip() == "national、jiangsu/nantong"
    code, said = ganbu(empty, "adopt", "national", "jiangsu/nantonng")
    assert code == 1 and "jiangsu/nantonng" in said
    assert ask(empty, "SELECT value FROM records_setting") == [('["national", "jiangsu/nantong"]',)]
    assert ask(empty, "SELECT subject FROM access_auditentry WHERE action = 'packs.adopt'") == [("national、jiangsu/nantong",)]  # fmt: skip


def test_an_import_that_was_undone_is_not_seen_any_more(home, tmp_path):
    person = build_district(24)["person"][0]
    known = AppointmentForm(name=person["name"], sex=person["sex"], birth_date=person["birth_date"].replace("-", "")[:6], native_place="外省外县")  # fmt: skip
    with zipfile.ZipFile(tmp_path / "名单.zip", "w") as archive:
        archive.writestr("新来者.lrmx", write_lrmx(NEWCOMER))
        archive.writestr("已有.lrmx", write_lrmx(known))
    before = standing(home)
    assert "新增 1 人，更新 1 人" in done(home, "import", tmp_path / "名单.zip", "--prefer-new")
    after = standing(home)
    assert len(after["cards"]) == 25 and after["photos"] and "外省外县" in str(after["person"])
    assert done(home, "undo-import").splitlines()[0] == "2 名单.zip"
    done(home, "undo-import", "2")
    assert standing(home) == before
    code, said = ganbu(home, "undo-import", "2")
    assert code == 2 and "没有可以撤销的批次" in said


def test_forms_come_back_equal_through_a_zip_and_another_home(home, empty, tmp_path):
    done(home, "export", "lrmx", "--out", tmp_path / "one")
    with zipfile.ZipFile(tmp_path / "forms.zip", "w") as archive:
        for name, content in files(tmp_path / "one").items():
            archive.writestr(name, content)
    assert "24 份文件（0 份读不了，0 份认不准是谁），新增 24 人" in done(empty, "import", tmp_path / "forms.zip")  # fmt: skip
    done(empty, "export", "lrmx", "--out", tmp_path / "two")
    one, two = ({name.partition("-")[0]: content for name, content in files(tmp_path / out).items()} for out in ("one", "two"))  # fmt: skip
    assert len(one) == 24 and one == two


def test_a_records_folder_comes_back_equal_through_another_home(home, empty, tmp_path):
    done(home, "export", "records", "--out", tmp_path / "one", "--format", "csv")
    assert "群众来信" in (tmp_path / "one" / "deed.csv").read_text("utf-8")
    assert (tmp_path / "one" / "visit_log.csv").exists(), "the register that a pack declares"
    done(empty, "import", tmp_path / "one")
    done(empty, "export", "records", "--out", tmp_path / "two", "--format", "csv")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    code, said = ganbu(empty, "export", "records", "--out", tmp_path / "two")
    assert code == 2 and "不会覆盖" in said


def test_a_workbook_comes_back_equal_through_another_home(home, empty, tmp_path):
    done(home, "export", "xlsx", "--out", tmp_path / "one.xlsx")
    done(empty, "import", tmp_path / "one.xlsx")
    done(empty, "export", "xlsx", "--out", tmp_path / "two.xlsx")

    def told(path: Path) -> dict[str, list[dict[str, str]]]:
        """The sheets an import reads, without the identities, which are its own."""
        return {
            sheet.name: sorted(
                ({k: v for k, v in row.items() if v and not k.endswith("编号")} for _, row in sheet.records()), key=str
            )
            for sheet in read_sheets(path.name, path.read_bytes())
            if sheet.name in ("人员", "任职", "职级", "学历学位", "年度考核", "奖励", "家庭成员", "机构")
        }  # fmt: skip

    one = told(tmp_path / "one.xlsx")
    assert len(one) == 8 and len(one["人员"]) == 24 and told(tmp_path / "two.xlsx") == one


def test_forms_on_paper_are_written_for_those_who_fit_the_condition(home, tmp_path):
    held = build_district(24)["person"]
    women = [person["name"] for person in held if person["sex"] == "女"]
    for kind in ("docx", "pdf"):
        done(home, "export", kind, "--out", tmp_path / kind, "--where", "性别 = '女'")
        assert sorted(path.name.partition("-")[0] for path in (tmp_path / kind).iterdir()) == sorted(women)
    for name, content in files(tmp_path / "docx").items():
        cells = [cell.text for table in docx.Document(io.BytesIO(content)).tables for row in table.rows for cell in row.cells]  # fmt: skip
        assert name.partition("-")[0] in cells and "女" in cells
    assert all(content.startswith(b"%PDF-") for content in files(tmp_path / "pdf").values())


# The import stops where all its rows are written and the transaction is still open.
STOPS = """
import sys, time
from ganbu.web.setup import start
start()
from ganbu.records import batches
def wait(*_):
    from ganbu.records.models import Card, Change
    print(Change.objects.count(), Card.objects.count(), flush=True)
    time.sleep(60)
batches._photos = wait
from ganbu.cli import main
main()
"""


def test_an_import_killed_half_way_leaves_nothing(home, tmp_path):
    (tmp_path / "新来者.lrmx").write_bytes(write_lrmx(NEWCOMER))
    before = standing(home)
    (changes,) = ask(home, "SELECT count(*) FROM records_change")[0]
    run = process(home, "import", tmp_path / "新来者.lrmx", code=STOPS)
    try:
        assert run.stdout.readline().split() == [str(changes + 1), "24"], "the change is there, as it sees it"
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=20)
    assert run.returncode == -signal.SIGKILL
    assert standing(home) == before
    assert ask(home, "SELECT count(*) FROM records_change") == [(changes,)]
    assert ask(home, "SELECT state, change_id FROM records_importbatch ORDER BY id DESC LIMIT 1") == [("ready", None)]  # fmt: skip
    assert "全部相符" in done(home, "verify")
    held = sqlite3.connect(home / "ganbu.sqlite3")
    with held:  # as the worker leaves it that is killed at it
        held.execute("UPDATE records_importbatch SET state = 'applying' WHERE state = 'ready'")
    held.close()
    done(home, "work", "--once")
    assert ask(home, "SELECT state FROM records_importbatch ORDER BY id DESC LIMIT 1") == [("applied",)]
    assert [row[1] for row in standing(home)["cards"]].count("新来者") == 1


@pytest.mark.django_db
def test_the_worker_leaves_alone_what_a_command_imports(tmp_path, monkeypatch):
    (tmp_path / "新来者.lrmx").write_bytes(write_lrmx(NEWCOMER))
    real, taken = batches._forms, []
    monkeypatch.setattr(batches, "_forms", lambda *args: taken.append(worker.step()) or real(*args))
    batches.import_files(tmp_path / "新来者.lrmx", {})
    assert taken == [False]


@pytest.mark.django_db
def test_what_is_registered_between_reading_and_applying_counts(tmp_path, monkeypatch):
    (tmp_path / "新来者.lrmx").write_bytes(write_lrmx(NEWCOMER))
    real, laid = batches._lay, []
    monkeypatch.setattr(batches, "_lay", lambda *args: laid.append(args) or real(*args))
    slow, quick = (batches.open_batch(None, name, tmp_path, False, "reading") for name in ("慢", "快"))
    read = batches.read(slow)
    assert batches.apply(quick, batches.read(quick)).rows["person"] == 1
    assert len(laid) == 2  # nothing came between: laid over the record once
    assert "person" not in batches.apply(slow, read).rows
    assert len(laid) == 3
    assert Card.objects.filter(name=NEWCOMER.name).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("app", ["access", "records", "findings"])
def test_no_migration_is_missing(app):
    call_command("makemigrations", app, check=True, dry_run=True, verbosity=1)


def test_serving_answers_and_ends_with_its_worker(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = process(home, "serve", "--port", port, "--workers", 1)
    until = datetime.now() + timedelta(seconds=90)
    try:
        page = ""
        while not page and datetime.now() < until and run.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=10) as answer:
                    page = answer.read().decode()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        assert "登录" in page
        run.send_signal(signal.SIGTERM)
        said = "".join(run.communicate(timeout=30))
        assert run.returncode == 0 and "Traceback" not in said, said
        with pytest.raises(ProcessLookupError):  # nobody of the group is left
            os.killpg(run.pid, 0)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate(timeout=20)


SERVED_AFTER_WORK = """
from ganbu.web import setup
setup.start()
from django.db import connection
from ganbu.records.models import Card
from ganbu.web import server
assert Card.objects.exists() and connection.connection
server.Server.run = lambda self: print("held" if connection.connection else "let go")
server.serve("127.0.0.1", 0)
"""


def test_what_is_served_holds_no_connection_of_the_process_it_is_forked_from(home):
    """As after `ganbu demo`: SQLite then told of a broken disk."""
    said, _ = process(home, code=SERVED_AFTER_WORK).communicate(timeout=60)
    assert said.strip() == "let go"


def test_serving_without_any_account_says_what_to_do(tmp_path):
    code, said = ganbu(tmp_path / "home", "serve")
    assert code == 1 and "ganbu create-admin" in said
