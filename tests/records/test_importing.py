"""Importing is all or nothing, never guesses, and can be undone."""

import csv
from datetime import date

import pytest

from ganbu.engine.records import Records
from ganbu.errors import FormatError, RecordsError
from ganbu.formats.form import AppointmentForm, FamilyMember
from ganbu.formats.interchange import form_to_rows, rows_to_form
from ganbu.formats.lrmx import read_lrmx, write_lrmx
from ganbu.records.importing import batches, export_lrmx, import_paths, undo_import
from ganbu.synthetic import build_district, write_lrmx_folder


def form(**changes):
    values = {
        "name": "李芳", "sex": "女", "birth_date": "198003", "ethnic_group": "汉族", "party_joining": "200108", "work_start": "200207",
        "resume": "1998.09--2002.07  某大学法律专业学习\n2002.07--         县司法局科员", "full_time_education": "大学", "assessments": "2023年、2024年年度考核均为优秀。",
        "awards": "2019.05，经市委批准，记三等功；2020.01，因违纪受党内警告处分。", "family": [FamilyMember("丈夫", "王强", "197901", "群众", "某公司")], "current_post": "县司法局科员",
    }  # fmt: skip
    return AppointmentForm(**{**values, **changes})


@pytest.fixture
def folder(tmp_path):
    Records.from_rows(
        {
            "unit": [{"unit_id": "U1", "name": "县司法局"}],
            "person": [{"person_id": "G1", "name": "李芳", "sex": "女", "birth_date": "1980-03-15"}],
        }
    ).write(tmp_path / "档案")
    return tmp_path / "档案"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "李芳.lrmx"
    path.write_bytes(write_lrmx(form()))
    return path


def state(folder):
    records = Records.open(folder)
    return {name: records.rows(name) for name in records.tables}


def test_a_form_becomes_rows_and_every_liberty_is_reported():
    rows, issues = form_to_rows(
        form(ethnic_group="汉", full_time_education="本科"), "a.lrmx", date(2025, 6, 30)
    )
    assert rows["person"][0]["ethnic_group"] == "汉族" and rows["education"][0]["level"] == "大学"
    assert [r["grade"] for r in rows["assessment"]] == ["优秀", "优秀"] and [
        r["name"] for r in rows["award"]
    ] == ["记三等功"]
    assert {"code.normalised", "award.sanction"} <= {issue.code for issue in issues}
    assert [r["title"] for r in rows["appointment"]] == ["县司法局科员"]


def test_an_unusable_value_is_left_out_and_named():
    rows, issues = form_to_rows(form(birth_date="198013", ethnic_group="火星族"), "a.lrmx")
    assert "birth_date" not in rows["person"][0] and "ethnic_group" not in rows["person"][0]
    assert {"date.unreadable", "code.unknown"} <= {issue.code for issue in issues}


def test_importing_finds_the_person_and_the_unit(folder, file):
    report = import_paths([file], folder)
    found = state(folder)
    assert (report.new, report.changed, report.files) == (0, 1, 1)
    (person,) = found["person"]
    assert (
        person["person_id"] == "G1" and str(person["birth_date"]) == "1980-03-15"
    )  # the record knew the day
    assert found["appointment"][0]["unit"] == "U1" and found["appointment"][0]["title"] == "科员"
    assert {row["year"] for row in found["assessment"]} == {2023, 2024}


def test_importing_twice_changes_nothing(folder, file):
    import_paths([file], folder)
    before = state(folder)
    report = import_paths([file], folder)
    assert (
        state(folder) == before
        and (report.new, report.changed, report.unchanged) == (0, 0, 1)
        and not report.rows
    )


def test_a_preview_writes_nothing(folder, file):
    before = sorted(f.name for f in folder.iterdir())
    assert import_paths([file], folder, dry_run=True).changed == 1
    assert sorted(f.name for f in folder.iterdir()) == before


def test_an_import_can_be_undone_exactly_and_in_order(folder, file, tmp_path):
    before = state(folder)
    first = import_paths([file], folder)
    (tmp_path / "张三.lrmx").write_bytes(write_lrmx(form(name="张三", birth_date="197001")))
    second = import_paths([tmp_path / "张三.lrmx"], folder)
    assert batches(folder) == [first.batch, second.batch]
    with pytest.raises(RecordsError, match="先撤销"):
        undo_import(folder, first.batch)
    undo_import(folder, second.batch)
    undo_import(folder, first.batch)
    assert state(folder) == before and batches(folder) == []
    with pytest.raises(RecordsError, match="没有导入批次"):
        undo_import(folder, "x")


def test_a_report_of_every_issue_is_kept_with_the_batch(folder, file):
    report = import_paths([file], folder)
    with (folder / "_imports" / report.batch / "report.csv").open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(report.issues) > 0 and rows[0]["file"] == "李芳.lrmx"


def test_one_broken_file_does_not_stop_the_batch_but_nothing_at_all_does(folder, file, tmp_path):
    (file.parent / "坏.lrmx").write_bytes(b"<Person>")
    report = import_paths([file, file.parent / "坏.lrmx"], folder)
    assert (report.files, report.unreadable) == (2, 1)
    (tmp_path / "空").mkdir()
    with pytest.raises((FormatError, RecordsError)):
        import_paths([tmp_path / "空"], folder)


def test_a_records_folder_is_imported_too(folder, tmp_path):
    Records.from_rows(
        {"award": [{"award_id": "a1", "person": "G1", "name": "嘉奖", "date": "2024-01-01"}]}
    ).write(tmp_path / "更多", "csv")
    assert import_paths([tmp_path / "更多"], folder).rows == {"award": 1}
    assert state(folder)["award"][0]["name"] == "嘉奖"


def test_export_and_import_agree(folder, file, tmp_path):
    import_paths([file], folder)
    records = Records.open(folder)
    assert export_lrmx(records, None, tmp_path / "出") == 1
    (path,) = (tmp_path / "出").iterdir()
    again = read_lrmx(path.read_bytes(), path.name)
    assert (again.name, again.birth_date, again.resume, again.assessments) == (
        "李芳",
        "198003",
        form().resume,
        "2023年、2024年年度考核均为优秀。",
    )
    assert export_lrmx(records, ["nobody"], tmp_path / "无") == 0


def test_a_resume_is_written_from_appointments_when_none_was_typed():
    made = rows_to_form(
        {"name": "甲"},
        {
            "appointment": [{"unit": "U1", "title": "科员", "start_date": date(2002, 7, 1)}],
            "education": [
                {
                    "mode": "全日制",
                    "school": "某大学",
                    "major": "法律",
                    "start_date": "1998-09",
                    "end_date": "2002-07",
                }
            ],
        },
        {"U1": "县司法局"},
    )
    assert made.resume == "1998.09--2002.07  某大学法律专业学习\n2002.07--         县司法局科员"


def test_the_damaged_files_of_a_made_up_district_come_through(tmp_path):
    district = build_district(80)
    write_lrmx_folder(district, tmp_path / "lrmx", 80)
    Records.from_rows({"unit": district["unit"]}).write(tmp_path / "档案")
    report = import_paths([tmp_path / "lrmx"], tmp_path / "档案")
    found = state(tmp_path / "档案")
    assert report.unreadable == 0 and len(found["person"]) == 80
    wanted = sum(row.get("main") is not False for row in district["appointment"])
    assert abs(len(found["appointment"]) - wanted) <= wanted * 0.02
    assert {"date.month_out_of_range"} <= set(report.counts)
