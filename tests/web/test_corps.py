"""The record kept ready for the engine is the record as it is, whatever happened to it since."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path

import pytest

from ganbu.access.current import acting
from ganbu.dates import PartialDate
from ganbu.engine import mapped
from ganbu.engine.kernel import Prepared
from ganbu.engine.run import Store
from ganbu.engine.select import select
from ganbu.errors import RecordsError
from ganbu.records import corps, kept
from ganbu.records.corps import people_where, reading
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Change
from ganbu.records.snapshot import snapshot
from ganbu.records.writing import current_row, row_values, undo, writing
from ganbu.vocabulary import Register

WATCHED = ("person", "appointment", "award", "rank", "unit")


def same_as_read_anew():
    whole = snapshot(WATCHED, vocabulary=vocabulary(), sealed=False).tables
    with reading() as store:
        for name in WATCHED:
            kept, fresh = store.records.tables.get(name), whole.get(name)
            if fresh is None:
                assert kept is None
                continue
            filled = [
                n for n in kept.column_names if n in fresh.column_names or kept[n].null_count < kept.num_rows
            ]
            assert kept.select(filled).to_pylist() == fresh.select(filled).to_pylist(), name


def end_posts():
    rows = list(MODELS["appointment"].objects.filter(superseded_at__isnull=True)[:3])
    with writing("end", "测试") as act:
        act.supersede(vocabulary().registers["appointment"], rows)


@pytest.mark.parametrize("seed", range(6))
def test_only_what_changed_is_read_again(db, seed):
    draw = random.Random(seed)
    words = vocabulary().registers
    people = sorted(
        MODELS["person"].objects.filter(superseded_at__isnull=True).values_list("f_person_id", flat=True)
    )
    same_as_read_anew()
    made: list[Change] = []
    with acting(name="测试"):
        for step in range(12):
            match draw.choice(["add", "correct", "end", "undo", "inside"]):
                case "add":
                    with writing("add", "测试") as act:
                        act.add(words["award"], [{"award_id": f"w{seed}{step}", "person": draw.choice(people), "name": "奖", "date": PartialDate(2020, draw.choice([None, 5]))}])  # fmt: skip
                    made.append(act.change)
                case "correct":
                    key = draw.choice(people)
                    row = row_values(words["person"], current_row(words["person"], key))
                    with writing("edit", "测试") as act:
                        act.correct(words["person"], key, {**row, "name": f"{row['name']}{step}"})
                    made.append(act.change)
                case "end":
                    end_posts()
                    made.append(act.change)
                case "undo" if made:
                    undo(made.pop(), "测试")
                case _:
                    with writing("add", "测试") as act:
                        act.add(
                            words["award"],
                            [{"award_id": f"i{seed}{step}", "person": draw.choice(people), "name": "奖"}],
                        )
                        people_where(
                            "any(奖励, 名称 = '奖')", date(2026, 6, 30)
                        )  # the change is still being written
            if draw.random() < 0.6:
                same_as_read_anew()
    same_as_read_anew()


def test_after_a_change_only_its_rows_are_read(db, monkeypatch):
    condition = "any(奖励, 名称 = '只有这一个')"
    assert people_where(condition, date(2026, 6, 30)) == []
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id
    with writing("add", "测试") as act:
        act.add(vocabulary().registers["award"], [{"award_id": "only", "person": person, "name": "只有这一个", "date": PartialDate(2020, 1)}])  # fmt: skip

    def refused(_register):
        raise AssertionError("the whole table was read")

    monkeypatch.setattr(corps, "numbered", refused)
    assert people_where(condition, date(2026, 6, 30)) == [person]


# -- tables on disk -------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(db, settings, tmp_path, monkeypatch):
    """Every table is kept on disk, in a folder of its own; `forget` is what the end of a process does."""
    settings.HOME = tmp_path
    monkeypatch.setattr(mapped, "LEAST", 1)

    def forget():
        corps._held.clear()

    forget()
    yield forget
    forget()


def awards(person: str) -> int:
    with reading() as store:
        table = store.records.tables["award"]
        return sum(1 for row in table.to_pylist() if row["person"] == person)


def test_another_process_goes_on_with_the_tables_on_disk(on_disk, monkeypatch):
    register = vocabulary().registers["award"]
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id
    before = awards(person)
    file = kept.path_of(register)
    assert file.is_file() and file.stat().st_mode & 0o077 == 0, "its owner's only"
    with writing("add", "测试") as act:
        act.add(register, [{"award_id": "later", "person": person, "name": "奖", "date": PartialDate(2020)}])
    on_disk()
    monkeypatch.setattr(corps, "numbered", lambda _register: pytest.fail("the whole table was read"))
    assert awards(person) == before + 1
    monkeypatch.undo()
    on_disk()
    undo(Change.objects.first(), "测试")
    assert awards(person) == before


@pytest.mark.parametrize(
    "spoilt", ["cut short", "no file of ours", "another vocabulary", "another record", "fewer changes"]
)
def test_a_file_that_does_not_fit_is_read_again(on_disk, spoilt, monkeypatch):
    register = vocabulary().registers["award"]
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id
    with writing("add", "测试") as act:
        act.add(register, [{"award_id": "one", "person": person, "name": "奖"}])
    before = awards(person)
    file = kept.path_of(register)
    match spoilt:
        case "cut short":
            file.write_bytes(file.read_bytes()[:-200])
        case "no file of ours":
            file.write_bytes(b"not a table")
        case "another vocabulary":
            monkeypatch.setattr(Register, "shape", "another")
        case "another record":  # a restored backup in which the same number is another change
            told = {act.change.pk: ("0" * 64, {"award": 1}), act.change.pk - 1: ("", {})}
            assert kept.kept(register, told) is None
        case _:
            assert kept.kept(register, {act.change.pk - 1: ("x", {})}) is None
    on_disk()
    assert awards(person) == before
    same_as_read_anew()


def test_a_folder_that_cannot_be_written_to_stops_nobody(on_disk, settings, caplog):
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id
    (settings.HOME / kept.FOLDER).write_text("a file where the folder should be")
    assert awards(person) >= 0
    same_as_read_anew()
    assert "快照文件写不下" in caplog.text


# -- columns on disk ------------------------------------------------------------------------------------------------

DAY = date(2026, 6, 30)
CONDITIONS = (
    "count(任职, 任职时间 <= 2020-01-01) >= 2",
    "any(奖励, 名称 = '奖') or 性别 = '女'",
    "any(任职, 免职时间 is missing and 职务层次 >= '乡科级副职')",
    "any(任职, 机构.名称 contains '县')",
)
MADE = ("_stand", "_lead", "_by_identity", "_laid_down")


def chosen(store: Store) -> list[list[str]]:
    return [select(store, condition, DAY, vocabulary()) for condition in CONDITIONS]


def same_as_prepared_anew() -> list[list[str]]:
    with reading() as store:
        found = chosen(store)
        assert found == chosen(Store(store.records)), "what lies on the shelf is what would be made"
        return found


def columns_of(settings) -> list[Path]:
    return sorted((settings.HOME / kept.FOLDER / "columns").glob("*.arrow"))


def test_another_process_prepares_nothing_that_lies_on_disk(on_disk, settings, monkeypatch):
    found = same_as_prepared_anew()
    files = columns_of(settings)
    assert files and all(file.stat().st_mode & 0o077 == 0 for file in files), "their owner's only"
    on_disk()
    for name in MADE:
        monkeypatch.setattr(Prepared, name, lambda *_args: pytest.fail("made again"))
    with reading() as store:
        assert chosen(store) == found


@pytest.mark.parametrize("seed", range(4))
def test_columns_on_disk_follow_the_record(on_disk, seed):
    draw = random.Random(seed)
    words = vocabulary().registers
    same_as_prepared_anew()
    made: list[Change] = []
    for step in range(8):
        person = draw.choice(list(MODELS["person"].objects.filter(superseded_at__isnull=True)[:30]))
        key = person.f_person_id
        match draw.choice(["award", "person", "end", "undo"]):
            case "award":
                with writing("add", "测试") as act:
                    act.add(words["award"], [{"award_id": f"w{step}", "person": key, "name": "奖", "date": PartialDate(2020, 5)}])  # fmt: skip
                made.append(act.change)
            case "person":
                row = row_values(words["person"], person)
                with writing("edit", "测试") as act:
                    act.correct(words["person"], key, {**row, "gender": draw.choice(["男", "女"])})
                made.append(act.change)
            case "end":
                end_posts()
                made.append(act.change)
            case _ if made:
                undo(made.pop(), "测试")
        if draw.random() < 0.5:
            on_disk()
        same_as_prepared_anew()


def test_what_a_change_wrote_that_was_given_up_is_on_no_shelf(on_disk, settings):
    """Numbers of rows are given again after it, to other rows."""
    words = vocabulary().registers
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id
    found = same_as_prepared_anew()
    for name, process in (
        ("奖", on_disk),
        ("别的奖", on_disk),
        ("再一个奖", lambda: None),
        ("又一个奖", lambda: None),
    ):
        process()
        with pytest.raises(RecordsError), writing("add", "测试") as act:
            act.add(words["award"], [{"award_id": "x", "person": person, "name": name, "date": PartialDate(2020)}])  # fmt: skip
            same_as_prepared_anew()
            raise RecordsError("given up")
        process()
        assert same_as_prepared_anew() == found
    with writing("add", "测试") as act:
        act.add(words["award"], [{"award_id": "x", "person": person, "name": "第三种奖", "date": PartialDate(2020)}])  # fmt: skip
    on_disk()
    assert same_as_prepared_anew() == found


def test_a_mark_does_not_depend_on_how_many_changes_were_seen_at_once(on_disk):
    register = vocabulary().registers["award"]
    person = MODELS["person"].objects.filter(superseded_at__isnull=True).first().f_person_id

    def mark() -> str:
        with reading() as store:
            return store.shelf.mark("award")

    marks = [mark()]
    for at in range(2):
        with writing("add", "测试") as act:
            act.add(register, [{"award_id": f"m{at}", "person": person, "name": "奖"}])
        marks.append(mark())
    assert len(set(marks)) == 3 and all(marks)
    on_disk()
    assert mark() == marks[-1], "another process saw both at once"


@pytest.mark.parametrize("spoilt", ["cut short", "no file of ours", "of another record"])
def test_a_column_that_does_not_fit_is_made_again(on_disk, settings, spoilt):
    found = same_as_prepared_anew()
    for file in columns_of(settings):
        table, told = mapped.told(file)
        whole, told = table.read_all(), dict(told)
        match spoilt:
            case "cut short":
                file.write_bytes(file.read_bytes()[:-100])
            case "no file of ours":
                file.write_bytes(b"not a column")
            case _:
                mapped.write(file, whole.slice(0, 1), told | {b"rests": b"0" * 128})
    on_disk()
    assert same_as_prepared_anew() == found


def test_what_is_encrypted_in_the_record_lies_on_no_shelf(on_disk, settings):
    with reading() as store:
        select(store, "身份证号 is not missing and 性别 = '女'", DAY, vocabulary())
    sealed = {("column", r.name, name) for r in vocabulary().registers.values() for name in r.sealed}
    names = {tuple(json.loads(mapped.told(file)[1][b"names"])) for file in columns_of(settings)}
    assert names and sealed and not sealed & names
