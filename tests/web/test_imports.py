"""Imports on the web: read, preview, choose, apply, undo; damaged and hostile files; workbooks; nothing half-done."""

from __future__ import annotations

import io
import zipfile

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile

from ganbu.formats.form import AppointmentForm
from ganbu.formats.lrmx import write_lrmx
from ganbu.formats.tables import read_sheets
from ganbu.records import batches, queries
from ganbu.records.models import MODELS, Card, Change, ImportBatch, Photo
from ganbu.records.writing import verify
from ganbu.synthetic.files import PORTRAIT
from ganbu.web import worker

pytestmark = pytest.mark.django_db


def form(**values) -> AppointmentForm:
    told = {
        "name": "新来者",
        "sex": "男",
        "birth_date": "198003",
        "ethnic_group": "汉族",
        "resume": "2002.07--         某县某局科员",
    }
    return AppointmentForm(**{**told, **values})


def upload(client, *files, **more):
    response = client.post("/imports/", {"files": [SimpleUploadedFile(n, c) for n, c in files], **more})
    assert response.status_code == 302
    return ImportBatch.objects.order_by("-pk").first()


def work(batch):
    while worker.step():
        pass
    batch.refresh_from_db()
    return batch


@pytest.fixture
def client(sign_in):
    return sign_in("cadre_section")


def test_from_dropping_to_undoing(client):
    before = Card.objects.count()
    batch = upload(
        client, ("新来者.lrmx", write_lrmx(form(photo=PORTRAIT))), ("坏.lrmx", b"<Person><XingMing>")
    )
    page = client.get(f"/imports/{batch.pk}/")
    assert "等待读取" in page.content.decode() and "hx-get" in page.content.decode()
    assert work(batch).state == "ready"
    assert Card.objects.count() == before, "nothing is written before it is confirmed"
    text = client.get(f"/imports/{batch.pk}/").content.decode()
    assert "新来者" in text and "读不了" in text and "新人" in text
    assert client.get(f"/imports/{batch.pk}/", headers={"HX-Request": "true"}).status_code == 286
    sheet = read_sheets("i.xlsx", b"".join(client.get(f"/imports/{batch.pk}/issues/").streaming_content))[0]
    assert any("坏.lrmx" in row for row in sheet.rows)
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    assert work(batch).state == "applied"
    card = Card.objects.get(name="新来者")
    assert client.get(f"/people/{card.pk}/photo/")["Content-Type"].startswith("image/")
    client.post(f"/imports/{batch.pk}/", {"act": "undo"})
    assert Card.objects.count() == before and not queries.portraits([card.pk]).exists()
    assert Photo.objects.filter(person=card.pk).exists(), "what was recorded once is kept"
    assert "现在不能" in client.post(f"/imports/{batch.pk}/", {"act": "apply"}, follow=True).content.decode()
    assert list(verify()) == []


def test_a_difference_is_the_users_choice(client, someone):
    held = MODELS["person"].objects.get(f_person_id=someone.pk)
    told = form(
        name=held.f_name,
        sex=held.f_sex,
        birth_date=held.f_birth_date.replace("-", "")[:6],
        health="有病",
        native_place="某地",
        resume="",
    )
    batch = work(upload(client, ("x.lrmx", write_lrmx(told))))
    item = batch.items.get()
    assert (item.person, item.state) == (someone.pk, "changed") or item.state in ("same", "changed")
    keys = {d["key"].rsplit("|")[-1]: d["key"] for d in item.differences}
    assert {"health", "native_place"} <= set(keys)
    client.post(f"/imports/{batch.pk}/", {"act": "take", "item": item.pk, "take": [keys["health"]]})
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    work(batch)
    now = MODELS["person"].objects.get(f_person_id=someone.pk, superseded_at=None)
    assert (now.f_health, now.f_native_place) == ("有病", held.f_native_place)


def test_whoever_cannot_be_told_apart_is_asked_about(client, someone):
    from ganbu.records.writing import writing
    from ganbu.vocabulary import load_vocabulary

    register = load_vocabulary().registers["person"]
    with writing("add", "x") as act:
        act.add(
            register,
            [{"person_id": f"T{n}", "name": "同名", "sex": "女", "birth_date": "1981-05"} for n in (1, 2)],
        )
    batch = work(upload(client, ("t.lrmx", write_lrmx(form(name="同名", sex="女", birth_date="198105")))))
    item = batch.items.get()
    assert item.state == "unsure" and {c["person"] for c in item.candidates} == {"T1", "T2"}
    client.post(f"/imports/{batch.pk}/", {"act": "person", "item": item.pk, "person": "T2"})
    work(batch)
    assert batch.items.get().person == "T2"
    client.post(f"/imports/{batch.pk}/", {"act": "person", "item": batch.items.get().pk, "person": "-"})
    work(batch)
    assert batch.items.get().state == "skipped"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.exe", b"MZ", "不是 lrmx"),
        ("x.zip", b"not a zip", "zip"),
        ("x.lrmx", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Person>&b;</Person>', "出于安全"),
        ("x.xlsx", b"PK\x03\x04broken", "损坏"),
    ],
)
def test_hostile_and_broken_files(client, name, content, told):
    page = client.post("/imports/", {"files": [SimpleUploadedFile(name, content)]}, follow=True)
    batch = ImportBatch.objects.order_by("-pk").first()
    text = page.content.decode()
    if batch is not None:
        work(batch)
        text += client.get(f"/imports/{batch.pk}/").content.decode() + batch.told
    assert told in text or "不是" in text
    assert "root:" not in text


def test_an_archive_that_would_escape_writes_nothing(client, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../evil.lrmx", write_lrmx(form()))
    batch = work(upload(client, ("evil.zip", stream.getvalue())))
    assert batch.state == "failed" and "压缩包之外" in batch.told


def test_too_much_at_once_is_refused(client, settings):
    settings.UPLOAD_LIMIT = 10
    page = client.post("/imports/", {"files": [SimpleUploadedFile("a.lrmx", b"x" * 11)]}, follow=True)
    assert "超过上限" in page.content.decode() and not ImportBatch.objects.exists()
    assert "没有选择文件" in client.post("/imports/", {}, follow=True).content.decode()


def book(sheets: dict[str, list[list[str]]]) -> bytes:
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream)
    for name, rows in sheets.items():
        sheet = made.add_worksheet(name)
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    made.close()
    return stream.getvalue()


NATIONAL = {
    "填报说明": [["单位", "某县"]],
    "B01单位": [["机构名称", "机构简称", "行政编制数", "正职领导职数"], ["B0101", "B0104", "B0227", "B0183"], ["某县档案局", "档案局", "12", "1"]],
    "A01人员": [
        ["姓名", "身份证号", "性别", "出生年月", "民族", "政治面貌", "入党时间", "现工作单位及职务全称", "统计关系所在单位", "成长经历"],
        ["A0101", "A0184", "A0104", "A0107", "A0117", "A0141", "A0144", "A0192A", "A0195", ""],
        ["采集甲", "", "男", "198003", "汉", "中共党员", "20050701", "某县档案局局长", "某县档案局", "x"],
        ["采集乙", "", "女", "198113", "汉族", "党员", "", "", "", ""],
        ["", "", "女", "198101", "", "", "", "", "", ""],
    ],
    "A02职务": [["姓名", "身份证号", "任职机构名称", "职务名称", "任职时间", "任职文号"], ["采集甲", "", "某县档案局", "局长", "201901", "虚字〔2019〕1号"], ["无此人", "", "某县档案局", "科员", "20x1", ""]],
    "A15考核": [["姓名", "身份证号", "考核年度", "考核结论"], ["采集甲", "", "2024", "优秀"], ["采集甲", "", "二四", "优秀"]],
}  # fmt: skip


def test_the_national_collection_book(client):
    batch = work(upload(client, ("信息采集表.xlsx", book(NATIONAL))))
    assert batch.state == "ready", batch.told
    issues = {(i.field, i.line): i.message for i in batch.issues.all()}
    assert "月份" in issues["出生年月", 4] or "日期" in issues["出生年月", 4]
    assert "没有姓名" in issues["姓名", 5]
    assert "应为整数" in issues["考核年度", 3]
    assert "没有登记处" in issues["成长经历", 0]
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    assert work(batch).state == "applied", batch.told
    card = Card.objects.get(name="采集甲")
    assert (card.node.name, card.birth, card.ethnic_group, card.political_status) == (
        "某县档案局",
        "1980-03",
        "汉族",
        "中共党员",
    )
    unit = MODELS["unit"].objects.get(f_name="某县档案局", superseded_at=None)
    assert (unit.f_headcount, unit.f_principals_authorised) == (12, 1)
    post = MODELS["appointment"].objects.get(f_person=card.pk, superseded_at=None)
    assert (post.f_title, post.f_unit, post.f_start_date) == ("局长", unit.f_unit_id, "2019-01")
    assert MODELS["assessment"].objects.get(f_person=card.pk).f_year == 2024
    client.post(f"/imports/{batch.pk}/", {"act": "undo"})
    assert not Card.objects.filter(name="采集甲").exists() and list(verify()) == []


def test_two_of_one_name_without_a_number_are_two_people(client):
    sheets = {
        "人员": [["姓名", "性别"], ["重名", "男"], ["重名", "女"]],
        "奖励": [["姓名", "名称"], ["重名", "三等功"]],
    }
    batch = work(upload(client, ("b.xlsx", book(sheets))))
    assert batch.counts["new"] == 2
    assert any("不止一人" in i.message for i in batch.issues.all())


def test_a_workbook_of_nothing_known_is_told(client):
    batch = work(upload(client, ("b.xlsx", book({"Sheet1": [["a", "b"], ["1", "2"]]}))))
    assert batch.state == "failed" and "没有认得的工作表" in batch.told


def test_the_template_is_read_back(client):
    sheets = read_sheets("t.xlsx", b"".join(client.get("/imports/", {"template": "1"}).streaming_content))
    assert {s.name for s in sheets} >= {"人员", "任职", "年度考核", "家庭成员"}
    rows = {s.name: [s.rows[0]] for s in sheets}
    person = dict.fromkeys(rows["人员"][0], "") | {"姓名": "模板人", "性别": "男", "出生日期": "1980-03-01"}
    family = dict.fromkeys(rows["家庭成员"][0], "") | {
        "姓名": "模板人",
        "家庭成员姓名": "某妻",
        "称谓": "妻子",
    }
    rows["人员"].append(list(person.values()))
    rows["家庭成员"].append(list(family.values()))
    batch = work(upload(client, ("t.xlsx", book(rows))))
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    assert work(batch).state == "applied", batch.told
    held = MODELS["family"].objects.get(f_person=Card.objects.get(name="模板人").pk)
    assert "某妻" not in held.f_name, "sealed"


def test_work_that_was_killed_begins_again(client):
    batch = upload(client, ("新来者.lrmx", write_lrmx(form())))
    ImportBatch.objects.filter(pk=batch.pk).update(state="reading")
    worker.recover()
    assert work(batch).state == "ready"
    ImportBatch.objects.filter(pk=batch.pk).update(state="applying")
    worker.recover()
    assert work(batch).state == "applied"
    assert Card.objects.filter(name="新来者").count() == 1


def test_an_import_that_fails_leaves_nothing(client, monkeypatch):
    batch = work(upload(client, ("新来者.lrmx", write_lrmx(form()))))
    changes = Change.objects.count()
    monkeypatch.setattr(batches, "_photos", lambda *args: 1 / 0)
    client.post(f"/imports/{batch.pk}/", {"act": "apply"})
    assert work(batch).state == "failed" and "程序出错" in batch.told
    assert Change.objects.count() == changes and not Card.objects.filter(name="新来者").exists()


def test_secrets_are_not_kept_in_plain_beside_the_record(client, someone):
    held = MODELS["person"].objects.get(f_person_id=someone.pk)
    number = "370102197803141237"
    for _n in range(2):
        told = form(
            name=held.f_name,
            sex=held.f_sex,
            birth_date=held.f_birth_date.replace("-", "")[:6],
            id_number=number,
        )
        batch = work(upload(client, ("x.lrmx", write_lrmx(told))))
        assert number not in str([i.differences for i in batch.items.all()])
        assert not any(number in i.message + i.raw + i.normalised for i in batch.issues.all())
