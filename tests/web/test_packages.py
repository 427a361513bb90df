"""Packages of the generic form through the record: imported, previewed, applied, exported again with the same content, undone."""

from __future__ import annotations

import io
from datetime import date

import pytest

from ganbu.engine.records import Records
from ganbu.formats.generic import GenericForm, Line, read_generic, write_generic
from ganbu.formats.generic_columns import LEVEL
from ganbu.records.exporting import export_generic
from ganbu.records.importing import import_paths
from ganbu.records.models import MODELS, Card, Handout
from ganbu.records.queries import images_of
from ganbu.records.snapshot import snapshot
from ganbu.records.writing import verify, writing
from ganbu.synthetic.files import PORTRAIT
from ganbu.vocabulary import load_vocabulary
from ganbu.web import handouts
from tests.web.test_imports import upload, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(sign_in):
    return sign_in("cadre_section")


def written(form: GenericForm) -> bytes:
    stream = io.BytesIO()
    write_generic(form, stream)
    return stream.getvalue()


def fetched(client, path, people) -> GenericForm:
    """The package that the web hands out about some people."""
    response = client.get("/people/roster/", {"person": people, "kind": "generic"})
    assert response["Content-Disposition"].endswith('"generic.zip"')
    path.write_bytes(b"".join(response.streaming_content))
    return read_generic(path)


def content(form: GenericForm) -> dict[str, dict[str, list[str]]]:
    """What a package says of each person, in no order, and units by name."""
    names = {line.values["unit_id"]: line.values["name"] for line in form.units}
    told = {}
    for person in form.people:
        told[person.line.values["name"]] = {
            register: sorted(
                str(sorted((k, names.get(v, v) if k in ("unit", "statistics_unit") else str(v)) for k, v in line.values.items()))
                for line in lines
            )
            for register, lines in person.rows.items()
        } | {"photo": [str(person.photo)]}  # fmt: skip
    return told


def as_others(form: GenericForm) -> GenericForm:
    """The same people under other names, as another department would send them."""
    for at, person in enumerate(form.people):
        person.key = f"{{{at}}}"
        person.line.values["name"] += "复"
        person.line.values.pop("id_number", None)
    return form


def some(count=12) -> list[str]:
    return list(Card.objects.exclude(node=None).order_by("place", "pk").values_list("pk", flat=True)[:count])


def test_imported_and_exported_again_a_package_says_the_same(client, tmp_path):
    people = some()
    with writing("photo", "照片") as act:
        act.photo(people[0], PORTRAIT, "image/jpeg")
    sent = as_others(fetched(client, tmp_path / "one.zip", people))
    assert len(sent.people) == len(people) and sent.people[0].photo == PORTRAIT
    assert all(line.values.get("parent") for line in sent.units[1:]), "with the units above them"
    units = MODELS["unit"].objects.filter(superseded_at=None).count()
    batch = work(upload(client, ("通用格式.zip", written(sent))))
    assert batch.state == "ready" and batch.counts == {"new": len(people)}, batch.told
    assert "没有登记处" not in str([i.message for i in batch.issues.exclude(severity="note")])
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    assert work(batch).state == "applied", batch.told
    assert MODELS["unit"].objects.filter(superseded_at=None).count() == units, "units are found again"
    new = [Card.objects.get(name=person.line.values["name"]).pk for person in sent.people]
    assert content(fetched(client, tmp_path / "two.zip", new)) == content(sent)
    client.post(f"/imports/{batch.pk}/", {"act": "undo"})
    assert not Card.objects.filter(pk__in=new).exists() and list(verify()) == []


def test_our_own_package_changes_nothing(client, tmp_path):
    path = tmp_path / "own.zip"
    fetched(client, path, some(5))
    batch = work(upload(client, ("own.zip", path.read_bytes())))
    assert batch.counts == {"same": 5}, batch.told


def test_units_come_with_their_tree(client):
    units = [
        Line({"unit_id": "2", "name": "办公室", "parent": "1"}), Line({"unit_id": "1", "name": "外县", "code": "W1"}), Line({"unit_id": "3", "name": "外县财政局", "parent": "1"}),
        Line({"unit_id": "4", "name": "办公室", "parent": "3"}), Line({"unit_id": "5", "name": "办公室", "parent": "3", "code": "W5"}), Line({"unit_id": "6"}),
    ]  # fmt: skip
    for expected in (5, 0):
        before = MODELS["unit"].objects.filter(superseded_at=None).count()
        batch = work(upload(client, ("机构.zip", written(GenericForm([], units)))))
        assert batch.state == "ready", batch.told
        client.post(f"/imports/{batch.pk}/", {"act": "apply"})
        assert work(batch).state == "applied", batch.told
        # Two of one name under one unit are one, but for their codes.
        assert MODELS["unit"].objects.filter(superseded_at=None).count() - before == expected - bool(expected)
    office = {u.f_parent for u in MODELS["unit"].objects.filter(superseded_at=None, f_name="办公室")}
    tops = {u.f_name: u.f_unit_id for u in MODELS["unit"].objects.filter(superseded_at=None)}
    assert office == {tops["外县"], tops["外县财政局"]}


def test_who_may_not_see_numbers_and_family_gets_none(client, someone, tmp_path):
    register = load_vocabulary().registers["family"]
    with writing("add", "家人") as act:
        act.add(register, [{"family_id": "F-x", "person": someone.pk, "relation": "妻子", "name": "某妻"}])
    for seen, relatives in (((True, True), 1), ((False, False), 0)):
        with (tmp_path / "x.zip").open("wb") as stream:
            handouts.write("generic", [someone.pk], stream, seen, "")
        person = read_generic(tmp_path / "x.zip").people[0]
        assert bool(person.line.values.get("id_number")) <= seen[0]
        assert (len(person.rows["family"]) >= 1) is bool(relatives)


def test_a_large_package_is_made_by_the_worker(client, monkeypatch, settings, tmp_path):
    settings.HOME = tmp_path
    monkeypatch.setattr("ganbu.web.printing.AT_ONCE", 2)
    monkeypatch.setattr(handouts, "CHUNK", 2)
    client.get("/people/roster/", {"person": some(5), "kind": "generic"})
    job = Handout.objects.get()
    handouts.make(job)
    job.refresh_from_db()
    assert job.state == "ready" and job.file.endswith(".zip")
    assert len(read_generic(handouts.folder() / job.file).people) == 5


def test_a_damaged_package_is_told_and_writes_nothing(client):
    sent = GenericForm()
    stream = written(sent).replace(b"gwyinfo.xml", b"gwyinfo.xlm")
    assert work(upload(client, ("坏.zip", stream))).state == "failed"


def test_a_folder_of_the_record_through_a_package(db, tmp_path):
    """What the form can carry comes back through another records folder, levels and two posts of one month too."""
    day = "2019-01"
    posts = [
        {"person": "P1", "unit": "U2", "title": "党组书记", "start_date": day, "level": "乡科级正职", "main": True},
        {"person": "P1", "unit": "U2", "title": "局长", "start_date": day, "level": "乡科级正职", "main": False},
        {"person": "P1", "unit": "U1", "title": "副主任", "start_date": "2012-05-04", "end_date": "2019-01", "level": "乡科级副职"},
        {"person": "P1", "unit": "U9", "title": "科员", "start_date": "2008-07", "end_date": "2012-05"},
    ]  # fmt: skip
    study = [{"person": "P1", "mode": "在职", "level": "大学", "school": name} for name in ("甲校", "乙校")]
    Records.from_rows(
        {
            "unit": [{"unit_id": "U0", "name": "某县"}, {"unit_id": "U1", "name": "县府办", "parent": "U0"}, {"unit_id": "U2", "name": "县审计局", "parent": "U0"}, {"unit_id": "U3", "name": "不相干"}],
            "person": [{"person_id": "P1", "name": "李芳", "sex": "女", "birth_date": "1980-03-15", "statistics_unit": "U2"}, {"person_id": "P2", "name": "王强", "birth_date": "1981-01"}],
            "appointment": [{"appointment_id": f"A{at}", **post} for at, post in enumerate(posts)],
            "education": [{"education_id": f"E{at}", **row} for at, row in enumerate(study)],
        }
    ).write(tmp_path / "档案")  # fmt: skip
    one, two = tmp_path / "一.zip", tmp_path / "二.zip"
    records = Records.open(tmp_path / "档案")
    assert export_generic(records, ["P1"], one, date(2026, 6, 30)) == 1
    first = read_generic(one)
    assert {line.values["name"] for line in first.units} == {"某县", "县府办", "县审计局"}
    assert [str(line.values["start_date"]) for line in first.people[0].rows[LEVEL]] == ["2012-05-04", "2019-01"]  # fmt: skip
    report = import_paths([one], tmp_path / "新档案")
    assert (report.new, report.unreadable) == (1, 0)
    again = Records.open(tmp_path / "新档案")
    assert export_generic(again, None, two, date(2026, 6, 30)) == 1
    assert content(read_generic(two)) == content(first)
    levels = {row["title"]: row.get("level") for row in again.rows("appointment")}
    assert levels == {"党组书记": "乡科级正职", "局长": "乡科级正职", "副主任": "乡科级副职", "科员": None}
    assert import_paths([tmp_path / "一.zip"], tmp_path / "新档案").unchanged == 1, (
        "a second time nothing is new"
    )


def test_what_a_package_cannot_place_is_told_with_its_first_person(db, tmp_path):
    person = as_others(GenericForm([_person("李芳")])).people[0]
    person.rows[LEVEL] = [Line({"level": "县处级正职"})]
    person.rows["appointment"] = [Line({"title": "局长"}, {"A0201A": "外局"}), Line({"title": "科员"}, {"A0255": "0"})]  # fmt: skip
    path = tmp_path / "包" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(written(GenericForm([person], foreign={"A06": [{"A0000": "x"}]})))
    (tmp_path / "包" / "b.zip").write_bytes(b"PK")
    report = import_paths([tmp_path / "包"], tmp_path / "新档案")
    assert {"table.no_place", "level.no_post", "unit.unknown", "appointment.no_end", "file.unreadable"} <= set(report.counts)  # fmt: skip
    assert (report.new, report.unreadable) == (1, 1)
    assert [row["title"] for row in Records.open(tmp_path / "新档案").rows("appointment")] == ["外局局长"]


def test_a_header_that_cannot_be_read_makes_the_file_unreadable(db, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("gwyinfo.xml", "<root")
    with pytest.raises(Exception, match="不是完整的 XML"):
        import_paths([tmp_path / "a.zip"], tmp_path / "新档案")


def _person(name):
    from ganbu.formats.generic import GenericPerson

    person = GenericPerson("a")
    person.rows["person"] = [Line({"name": name})]
    return person


def test_photos_of_the_database_are_in_the_package(someone, tmp_path):
    with writing("photo", "照片") as act:
        act.photo(someone.pk, PORTRAIT, "image/jpeg")
    export_generic(snapshot(), [someone.pk], tmp_path / "a.zip", date(2026, 6, 30), images_of)
    assert read_generic(tmp_path / "a.zip").people[0].photo == PORTRAIT
