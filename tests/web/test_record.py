"""The record in a database: nothing is overwritten, nothing gets in without a change, everything can be taken back."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu.access.models import AuditEntry
from ganbu.dates import PartialDate
from ganbu.engine.records import Records
from ganbu.errors import RecordsError
from ganbu.records import cards, queries, writing
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, Change, LocalRow, Seat, UnitNode
from ganbu.records.people import alike, merge_people
from ganbu.records.reconcile import pairs, settle
from ganbu.records.rotation import rotate
from ganbu.records.snapshot import snapshot
from ganbu.records.writing import Stale, current_row, load, row_values, undo, verify
from ganbu.vocabulary import load_vocabulary

pytestmark = pytest.mark.django_db
WORDS = load_vocabulary().registers
PERSON, POST = WORDS["person"], WORDS["appointment"]


def comparable(records: Records) -> dict[str, list[tuple]]:
    return {
        name: sorted(
            tuple(
                (k, str(row[k]))
                for k in records.vocabulary.registers[name].fields
                if row.get(k) not in (None, "")
            )
            for row in records.rows(name)
        )
        for name in records.tables
    }


def test_the_snapshot_gives_back_what_was_put_in(district):
    wanted = comparable(Records.from_rows(district, load_vocabulary()))
    assert comparable(snapshot()) == {name: rows for name, rows in wanted.items() if rows}


def test_no_finding_on_a_sound_record():
    assert list(verify()) == []


def test_a_correction_supersedes(someone):
    old = current_row(PERSON, someone.pk)
    with writing.writing("edit", "测试") as act:
        act.correct(PERSON, someone.pk, {"health": "一般"}, old.row)
    rows = MODELS["person"].objects.filter(f_person_id=someone.pk).order_by("row")
    assert [r.superseded_by_id for r in rows] == [act.change.pk, None]
    assert row_values(PERSON, rows[1])["health"] == "一般"
    assert row_values(PERSON, rows[1])["id_number"] == row_values(PERSON, rows[0])["id_number"]
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.subject, entry.detail["reason"]) == ("record.edit", someone.pk, "测试")
    with pytest.raises(Stale, match="他人更正"), writing.writing("edit", "x") as act:
        act.correct(PERSON, someone.pk, {"health": "差"}, old.row)
    assert list(verify()) == []


def test_what_was_known_then_is_known_still(someone):
    old = queries.known(queries.held(someone.pk))["person"][0].values.get("health")
    with writing.writing("edit", "测试") as act:
        act.correct(PERSON, someone.pk, {"health": "差"})
    rows = queries.held(someone.pk)
    assert queries.known(rows, datetime(1990, 1, 1)) == {name: [] for name in rows}
    then = queries.known(rows, act.change.made_at - timedelta(microseconds=1))["person"][0]
    now = queries.known(rows)["person"][0]
    assert (then.values.get("health"), now.values["health"]) == (old, "差")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record_person SET name = 'x'",
        "UPDATE record_person SET meta_change = 0",
        "UPDATE record_appointment SET title = 'x' WHERE row = (SELECT min(row) FROM record_appointment)",
        "UPDATE record_appointment SET meta_superseded_at = meta_recorded_at",
        "DELETE FROM record_person",
        "DELETE FROM record_local",
        "UPDATE record_person SET id_number = NULL",
        "UPDATE record_person SET meta_superseded_at = meta_recorded_at, meta_superseded_by = meta_change",
        "UPDATE records_change SET reason = 'x'",
        "UPDATE records_change SET digest = ''",
        "DELETE FROM records_change",
        "DELETE FROM access_auditentry",
        "UPDATE access_auditentry SET actor = 'x'",
        "INSERT INTO record_person (person_id, meta_change, meta_recorded_at, meta_origin, meta_evidence, meta_confidentiality) "
        "SELECT 'X', meta_change, meta_recorded_at, '', '', '' FROM record_person LIMIT 1",
    ],
)
def test_the_database_refuses_what_goes_round_a_change(statement, someone):
    with writing.writing("add", "测试") as act:
        act.add(
            vocabulary().registers["visit_log"],
            [{"visit_id": "v1", "person": someone.pk, "date": "2026-01-01"}],
        )
    with pytest.raises((DatabaseError, sqlite3.DatabaseError), match="append-only"), transaction.atomic(), connection.cursor() as cursor:  # fmt: skip
        cursor.execute(statement)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite has REPLACE")
@pytest.mark.parametrize("table", ["record_person", "access_auditentry", "records_change"])
def test_a_row_cannot_be_replaced(table, someone):
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}" LIMIT 1')
        row, marks = cursor.fetchone(), ", ".join(["%s"] * len(cursor.description))
        with pytest.raises((DatabaseError, sqlite3.DatabaseError), match="append-only"), transaction.atomic():
            cursor.execute(f'REPLACE INTO "{table}" VALUES ({marks})', row)


def test_what_others_built_on_is_not_undone(someone):
    with writing.writing("import", "x") as act:
        act.add(PERSON, [{"person_id": "N1", "name": "新人"}])
    with writing.writing("add", "y"):
        pass
    with writing.writing("add", "手工登记任职") as later:
        later.add(vocabulary().registers["appointment"], [{"appointment_id": "NA1", "person": "N1", "title": "科员"}])  # fmt: skip
    with pytest.raises(RecordsError, match="任职 NA1"):
        writing.undo(act.change)
    writing.undo(later.change)
    writing.undo(act.change)
    assert not Card.objects.filter(pk="N1").exists() and list(verify()) == []


def test_bulk_ways_of_django_are_refused_too(someone):
    model = MODELS["person"]
    row = model.objects.filter(f_person_id=someone.pk).get()
    row.f_name = "另名"
    for act in (row.save, row.delete, lambda: model.objects.update(f_sex="女"), lambda: model.objects.bulk_update([row], ["f_name"]), lambda: model.objects.all().delete()):  # fmt: skip
        with pytest.raises((DatabaseError, sqlite3.DatabaseError)), transaction.atomic():
            act()


def test_two_rows_of_one_identity_never_hold(someone):
    with pytest.raises(Stale, match="重复"), writing.writing("add", "x") as act:
        act.add(PERSON, [{"person_id": someone.pk, "name": "重"}])


@pytest.mark.no_cover  # every row there is
def test_every_row_has_its_history_entry(db):
    many = [
        {"person_id": f"N{n}", "name": f"新{n}", "birth_date": PartialDate(1980, 1 + n % 12)}
        for n in range(10_000)
    ]
    change = load(Records.from_rows({"person": many}, load_vocabulary()), "import", "一万行")
    assert change.rows == {"person": 10_000}
    assert MODELS["person"].objects.filter(change=change).count() == 10_000
    assert Card.objects.filter(pk__startswith="N").count() == 10_000
    undo(change, "撤销")
    assert not Card.objects.filter(pk__startswith="N").exists()
    assert MODELS["person"].objects.filter(superseded_by__undoes=change).count() == 10_000
    assert list(verify()) == []


def test_undo_brings_back_and_is_refused_where_work_was_built_on_it(someone):
    before = comparable(snapshot())
    with writing.writing("edit", "一") as first:
        first.correct(PERSON, someone.pk, {"health": "一般"})
        first.add(
            POST,
            [
                {
                    "appointment_id": "a-new",
                    "person": someone.pk,
                    "title": "某职",
                    "start_date": PartialDate(2026, 1),
                }
            ],
        )
    with writing.writing("edit", "二") as second:
        second.correct(PERSON, someone.pk, {"health": "差"})
    with pytest.raises(RecordsError, match="之后又有改动"):
        undo(first.change)
    undo(second.change)
    with pytest.raises(RecordsError, match="已经撤销"):
        undo(second.change)
    # What the second change ended holds again as a new row, so the first can now not be told from later work.
    assert current_row(PERSON, someone.pk).f_health == "一般"
    assert comparable(snapshot())["person"] != before["person"]


def test_undo_of_the_last_change_restores_everything(someone):
    before = comparable(snapshot())
    with writing.writing("edit", "一") as act:
        act.correct(PERSON, someone.pk, {"health": "一般", "phone": "13800000000"})
        act.supersede(POST, [current_row(POST, MODELS["appointment"].objects.filter(f_person=someone.pk, superseded_at__isnull=True).first().f_appointment_id)])  # fmt: skip
    assert comparable(snapshot()) != before
    undo(act.change)
    assert comparable(snapshot()) == before
    assert list(verify()) == []


def test_nothing_is_left_of_a_change_that_failed(someone):
    before, audits = Change.objects.count(), AuditEntry.objects.count()
    with pytest.raises(RecordsError, match="缺少"), writing.writing("edit", "x") as act:
        act.correct(PERSON, someone.pk, {"health": "差"})
        act.add(POST, [{"person": someone.pk}])
    assert (Change.objects.count(), AuditEntry.objects.count()) == (before, audits)
    assert current_row(PERSON, someone.pk).f_health != "差"


def test_secrets_are_sealed_and_found_by_their_mark(someone):
    number = "370102197803141237"
    with writing.writing("edit", "x") as act:
        act.correct(PERSON, someone.pk, {"id_number": number, "phone": "13812345678"})
    stored = current_row(PERSON, someone.pk)
    assert number not in str(vars(stored)) and "13812345678" not in str(vars(stored))
    assert [c.pk for c in queries.find(Card.objects.all(), number)] == [someone.pk]
    assert someone.pk in [c.pk for c in queries.find(Card.objects.all(), "1237")]
    rotate()
    again = current_row(PERSON, someone.pk)
    assert again.f_id_number != stored.f_id_number
    assert row_values(PERSON, again)["id_number"] == number
    assert list(verify()) == []


def test_a_changed_byte_in_the_record_shows(someone, monkeypatch):
    # The triggers forbid it, so the reading side is what changes here.
    real = writing.canonical
    monkeypatch.setattr(writing, "canonical", lambda stored: real({**stored, "name": "某"} if stored.get("person_id") == someone.pk else stored))  # fmt: skip
    assert any("指纹不符" in line for line in verify())


def test_local_rows_are_as_good_as_core_rows(someone):
    register = vocabulary().registers["visit_log"]
    row = {"visit_id": "v1", "person": someone.pk, "date": PartialDate(2026, 5, 1)}
    with writing.writing("add", "填报") as act:
        act.add(register, [row])
    assert snapshot(vocabulary=vocabulary()).rows("visit_log")[0]["person"] == someone.pk
    assert queries.held(someone.pk)["visit_log"][0].day("date") == PartialDate(2026, 5, 1)
    with writing.writing("edit", "改") as act:
        act.correct(register, "v1", {"date": PartialDate(2026, 5, 2)})
    assert LocalRow.objects.filter(identity="v1").count() == 2
    undo(act.change)
    assert row_values(register, current_row(register, "v1"))["date"] == date(2026, 5, 1)
    assert list(verify()) == []


def test_finding_by_pinyin_initials_and_words(db):
    with writing.writing("add", "x") as act:
        act.add(
            PERSON,
            [
                {"person_id": "Z1", "name": "欧阳修文", "current_post_text": "某某镇镇长"},
                {"person_id": "Z2", "name": "阿依努尔·买买提"},
            ],
        )
    for text in ("欧阳", "修文", "ouyangxiuwen", "ouyangx", "oyxw", "OYXW", "Z1", "镇长 欧阳", "某某镇"):
        assert "Z1" in [c.pk for c in queries.find(Card.objects.all(), text)], text
    for text in ("阿依努尔", "买买提", "阿依努尔·买买提", "ayne", "ayiNu", "aynemmt"):
        assert "Z2" in [c.pk for c in queries.find(Card.objects.all(), text)], text
    assert not queries.find(Card.objects.all(), "oyxw 买买提").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=30))
def test_no_search_text_breaks(text):
    list(queries.find(Card.objects.all(), text)[:3])


def test_units_are_moved_and_renamed_with_everything_below(someone):
    node = UnitNode.objects.get(pk=someone.node_id)
    other = UnitNode.objects.filter(depth=1).exclude(pk=node.pk).first()
    register = WORDS["unit"]
    with writing.writing("edit", "划转") as act:
        act.correct(register, node.unit, {"parent": other.unit, "name": "改名局"})
    moved = UnitNode.objects.get(unit=node.unit)
    assert (moved.pk, moved.name, moved.parent_id) == (node.pk, "改名局", other.pk)
    assert moved.path.startswith(other.path)
    assert Card.objects.get(pk=someone.pk).node_id == node.pk
    top = UnitNode.objects.get(depth=0)
    assert top.people_under == Card.objects.exclude(node=None).count()
    with writing.writing("edit", "撤销机构") as act:
        act.correct(register, node.unit, {"abolished_on": PartialDate(2020, 1, 1)})
    assert not UnitNode.objects.filter(unit=node.unit).exists()


def test_cards_can_be_made_anew(db):
    before = list(Card.objects.order_by("pk").values())
    seats = sorted(Seat.objects.values_list("card_id", "node_id", "team"))
    cards.rebuild_tree()
    cards.refresh(list(Card.objects.values_list("pk", flat=True)))
    assert list(Card.objects.order_by("pk").values()) == before
    assert sorted(Seat.objects.values_list("card_id", "node_id", "team")) == seats


def test_people_alike_are_found_merged_and_parted_again(someone):
    values = row_values(PERSON, current_row(PERSON, someone.pk))
    with writing.writing("add", "x") as act:
        act.add(PERSON, [{"person_id": "DUP", "name": values["name"], "sex": values["sex"], "birth_date": values["birth_date"], "id_number": values.get("id_number"), "phone": "13900000000"}])  # fmt: skip
        act.add(WORDS["award"], [{"award_id": "aw-dup", "person": "DUP", "name": "三等功"}])
    group = next(g for g in alike(Card.objects.all()) if "DUP" in [c.pk for c in g.cards])
    assert {c.pk for c in group.cards} == {someone.pk, "DUP"}
    before = comparable(snapshot())
    change = merge_people(someone.pk, ["DUP"], "")
    assert not Card.objects.filter(pk="DUP").exists()
    assert row_values(PERSON, current_row(PERSON, someone.pk))["phone"] == "13900000000"
    assert current_row(WORDS["award"], "aw-dup").f_person == someone.pk
    undo(change)
    assert comparable(snapshot()) == before
    for keep, gone in (
        (someone.pk, []),
        ("none", ["DUP"]),
        (someone.pk, [someone.pk]),
        (someone.pk, ["none"]),
    ):
        with pytest.raises(RecordsError):
            merge_people(keep, gone, "")


def test_resume_and_posts_side_by_side(db):
    with writing.writing("add", "x") as act:
        act.add(WORDS["unit"], [{"unit_id": "UX", "name": "某局"}])
        act.add(PERSON, [{"person_id": "R1", "name": "甲", "resume": "2001.07--2010.03  某局科员\n2010.03--2015.01  某局副科长（其间：2011.09--2013.06某大学学习）\n2015.01--         某局科长"}])  # fmt: skip
        act.add(POST, [
            {"appointment_id": "p1", "person": "R1", "unit": "UX", "title": "科员", "start_date": PartialDate(2001, 7, 15), "end_date": PartialDate(2010, 3)},
            {"appointment_id": "p2", "person": "R1", "unit": "UX", "title": "副科长", "start_date": PartialDate(2010, 3), "end_date": PartialDate(2014, 12)},
            {"appointment_id": "p9", "person": "R1", "unit": "UX", "title": "兼职", "start_date": PartialDate(2016, 2)},
        ])  # fmt: skip

    def now():
        rows = queries.known(queries.held("R1"))
        return rows["person"][0].values["resume"], [r.values for r in rows["appointment"]]

    resume, rows = now()
    found = pairs(resume, rows, {"UX": "某局"})
    assert [p.state for p in found] == ["same", "dates", "only_text", "only_row"]
    picks = {found[1].key: "row", found[2].key: "text", found[3].key: "row"}
    with writing.writing("edit", "核对") as act:
        done = settle(
            act, POST, PERSON, "R1", resume, found, picks, lambda text: ("UX", text.removeprefix("某局"))
        )
    assert done == 3
    resume, rows = now()
    assert [p.state for p in pairs(resume, rows, {"UX": "某局"})] == ["same"] * 4
    assert "2010.03--2014.12" in resume and "其间：2011.09--2013.06" in resume
    assert next(r for r in rows if r["appointment_id"] == "p1")["start_date"] == PartialDate(2001, 7, 15)


def test_derived_dates_follow_the_day(someone):
    row = queries.known(queries.held(someone.pk))["appointment"][0]
    start = row.day("start_date")
    assert not row.happened_by(start.first() - timedelta(days=1)) and row.happened_by(start.first())
    assert not row.holds_on(date(1900, 1, 1))


@pytest.mark.parametrize(
    ("name", "pinyin"),
    [
        ("曾国", "zengguo"),
        ("单雄", "shanxiong"),
        ("尉迟恭", "yuchigong"),
        ("解冰", "xiebing"),
        ("A1", "a1"),
        ("欧阳修", "ouyangxiu"),
        ("", ""),
    ],
)
def test_surnames_are_read_as_surnames(name, pinyin):
    assert "".join(cards.spelt(name)) == pinyin
