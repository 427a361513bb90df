"""Importing is all or nothing, never guesses, and can be undone."""

import csv
from datetime import date

import pytest

from ganbu.engine.records import Records
from ganbu.errors import FormatError, RecordsError
from ganbu.formats.form import AppointmentForm, FamilyMember
from ganbu.formats.interchange import form_to_rows, rows_to_form
from ganbu.formats.lrmx import read_lrmx, write_lrmx
from ganbu.records.exporting import export_lrmx
from ganbu.records.importing import batches, import_paths, undo_import
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
    """What the record holds now, without the history."""
    records = Records.open(folder)
    kept = ("recorded_at", "superseded_at", "source")
    return {
        name: [
            {k: v for k, v in row.items() if k not in kept}
            for row in records.rows(name)
            if row.get("superseded_at") is None
        ]
        for name in records.tables
    }


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


def put(folder, stem, **changes):
    path = folder / f"{stem}.lrmx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_lrmx(form(**changes)))
    return path


NUMBERS = ("000000198003120021", "000000198003250045")  # a region that does not exist


def test_what_the_record_knew_before_an_import_can_still_be_asked(folder, file):
    before = Records.open(folder).rows("person")[0]
    import_paths([file], folder)
    old, new = Records.open(folder).rows("person")
    assert {k: old.get(k) for k in before} == before and old["superseded_at"] == new["recorded_at"]
    assert new["political_status"] == "中共党员" and new["source"] == "李芳.lrmx"


def test_a_killed_import_is_completed_or_never_began(folder, file, monkeypatch):
    from ganbu.records import folder as store

    before = state(folder)
    monkeypatch.setattr(store, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        import_paths([file], folder)
    monkeypatch.undo()
    assert state(folder) == before and batches(folder) == []
    monkeypatch.setattr(store.shutil, "copy2", _fails_at(3, store.shutil.copy2))
    with pytest.raises(KeyboardInterrupt):
        import_paths([file], folder)
    monkeypatch.undo()
    assert store.recover(folder) and len(batches(folder)) == 1
    after = state(folder)
    assert after["appointment"] and len(after["person"]) == 1
    undo_import(folder, batches(folder)[0])
    assert state(folder) == before


def _fails_at(number, function):
    calls = []

    def call(*args, **options):
        calls.append(args)
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*args, **options)

    return call


def test_other_files_of_the_folder_are_left_alone(folder, file):
    (folder / "person.备注.txt").write_text("手记", "utf-8")
    report = import_paths([file], folder)
    undo_import(folder, report.batch)
    assert (folder / "person.备注.txt").read_text("utf-8") == "手记"


def test_tables_with_chinese_names_are_replaced_not_doubled(tmp_path, file):
    (tmp_path / "县").mkdir()
    (tmp_path / "县" / "人员.csv").write_text("人员编号,姓名,性别,出生日期\nG1,李芳,女,1980-03-15\n", "utf-8")
    import_paths([file], tmp_path / "县")
    assert len(state(tmp_path / "县")["person"]) == 1


def test_an_undo_does_not_take_later_work_with_it(folder, file):
    report = import_paths([file], folder)
    Records.from_rows({"training": [{"person": "G1", "hours": 8}]}).write(folder)
    held = Records.from_rows({"award": [{"award_id": "x", "person": "G1", "name": "嘉奖"}]})
    held.write(folder)
    with pytest.raises(RecordsError, match="又有改动"):
        undo_import(folder, report.batch)
    (folder / "award.parquet").unlink()
    with pytest.raises(RecordsError, match="又有改动"):
        undo_import(folder, report.batch)
    assert (folder / "training.parquet").exists()


def test_two_people_of_one_name_are_told_apart_by_number_or_asked_about(tmp_path):
    into, files = tmp_path / "县", tmp_path / "文件"
    one = put(files, "甲", id_number=NUMBERS[0])
    import_paths([one], into)
    two = put(files, "乙", id_number=NUMBERS[1])
    report = import_paths([two], into)
    assert report.new == 1 and len(state(into)["person"]) == 2
    unsure = put(files, "丙")
    report = import_paths([unsure], into)
    assert report.undecided == 1 and "person.unsure" in report.counts
    assert import_paths([unsure], into, people={"丙.lrmx": "李芳-198003"}).undecided == 0
    assert import_paths([unsure], into, people={"丙.lrmx": "新"}).new == 1


def test_an_identity_number_finds_the_person_and_is_never_the_key(tmp_path):
    into, files = tmp_path / "县", tmp_path / "文件"
    import_paths([put(files, "甲", id_number=NUMBERS[0])], into)
    report = import_paths([put(files, "乙", name="李 芳", birth_date="198004", id_number=NUMBERS[0])], into)
    assert (report.new, report.undecided) == (0, 0) and "person.differs" in report.counts
    (person,) = state(into)["person"]
    assert person["person_id"] == "李芳-198003" and str(person["birth_date"]) == "1980-03"


def test_a_number_that_cannot_be_one_tells_nobody_apart(tmp_path):
    into, files = tmp_path / "县", tmp_path / "文件"
    put(files, "甲", id_number="无")
    put(files, "乙", name="张三", id_number="无")
    put(files, "丙", name="")
    report = import_paths([files], into)
    assert (report.new, report.undecided) == (2, 1) and report.counts["id_number.invalid"] == 2


def test_a_later_form_adds_what_is_new_and_reports_what_differs(tmp_path):
    into, files = tmp_path / "县", tmp_path / "文件"
    import_paths(
        [put(files, "甲", resume="2002.07--  县司法局科员", awards="2019.05，经市委批准，记三等功。")], into
    )
    later = put(
        files, "乙", resume="2002.07--2024.05  县司法局科员\n2024.05--  县司法局副局长", awards="2023.01，经县委批准，嘉奖。",
        assessments="2024年度称职。", family=[FamilyMember("丈夫", "王强", "197901", "群众", "某公司"), FamilyMember("女儿", "王小", "200501", "", "")],
    )  # fmt: skip
    report = import_paths([later], into)
    found = state(into)
    assert [(r["title"], str(r.get("end_date") or "")) for r in found["appointment"]] == [
        ("县司法局科员", "2024-05"), ("县司法局副局长", ""),
    ]  # fmt: skip
    assert {r["name"] for r in found["award"]} == {"记三等功", "嘉奖"} or len(found["award"]) == 2
    assert {r["name"] for r in found["family"]} == {"王强", "王小"}
    assert {r["year"]: r["grade"] for r in found["assessment"]}[2024] == "优秀"
    assert report.counts["assessment.differs"] == 1
    import_paths([later], into, prefer_new=True)
    assert {r["year"]: r["grade"] for r in state(into)["assessment"]}[2024] == "称职"


def test_a_post_that_ended_on_an_unknown_day_does_not_become_the_present_one(tmp_path):
    into = tmp_path / "县"
    report = import_paths([put(tmp_path / "文件", "甲", resume="2002.09--07  县司法局科员")], into)
    assert "appointment" not in state(into) and "appointment.no_end" in report.counts


def test_a_spouse_is_a_husband_or_a_wife_by_the_sex_of_the_person(tmp_path):
    rows, _ = form_to_rows(form(family=[FamilyMember("爱人", "王强", "197901", "群众", "")]), "甲.lrmx")
    assert rows["family"][0]["relation"] == "丈夫"


def test_rows_without_identity_from_two_folders_stay_two(tmp_path):
    into = tmp_path / "县"
    for at, who in enumerate(("G1", "G2")):
        Records.from_rows({"award": [{"person": who, "name": f"{who}奖"}]}).write(tmp_path / str(at), "csv")
        import_paths([tmp_path / str(at)], into)
        assert import_paths([tmp_path / str(at)], into).rows == {}
    assert {r["person"]: r["name"] for r in state(into)["award"]} == {"G1": "G1奖", "G2": "G2奖"}


def test_a_folder_that_differs_is_reported_field_by_field(folder, tmp_path):
    Records.from_rows({"person": [{"person_id": "G1", "name": "王五"}]}).write(tmp_path / "别处")
    report = import_paths([tmp_path / "别处"], folder)
    assert report.counts == {"person.differs": 1} and state(folder)["person"][0]["name"] == "李芳"


def test_only_one_import_writes_at_a_time(folder, file):
    from ganbu.records.folder import writing

    with writing(folder), pytest.raises(RecordsError, match="另一个导入正在进行"):
        import_paths([file], folder)


def test_an_export_says_nothing_the_record_does_not():
    made = rows_to_form({"name": "甲"}, {"award": [{"date": "2019", "name": "获县先进工作者"}]}, {})
    assert made.awards == "2019，获县先进工作者。" and rows_to_form({"name": "甲"}, {}, {}).awards == ""


def test_of_a_folder_with_history_only_what_still_holds_is_taken(folder, file, tmp_path):
    import_paths([file], folder)  # 李芳 has a row that ended now, and one that followed it
    assert len(Records.open(folder).rows("person")) == 2
    report = import_paths([folder], tmp_path / "新")
    told = [(issue.code, issue.severity) for issue in report.issues]
    assert told == [("row.superseded", "note")] and report.new == 1 and report.changed == 0
    assert state(tmp_path / "新") == state(folder)
    assert all(row["recorded_at"] is not None for row in Records.open(tmp_path / "新").rows("person"))


@pytest.mark.parametrize("prefer_new", [False, True])
def test_a_field_called_source_is_the_row_s_own_and_not_where_it_came_from(tmp_path, prefer_new):
    deed = {"deed_id": "d1", "person": "G1", "date": "2026-01-05", "direction": "正面", "source": "群众来信", "evidence": "已核实"}  # fmt: skip
    into = tmp_path / "县"
    for at, more in enumerate(({}, {"summary": "抢险", "source": "上级通报"})):
        Records.from_rows({"deed": [deed | more]}).write(tmp_path / str(at))
        import_paths([tmp_path / str(at)], into, prefer_new=prefer_new)
    (held,) = [row for row in Records.open(into).rows("deed") if row.get("superseded_at") is None]
    assert held["source"] == ("上级通报" if prefer_new else "群众来信")
    assert held["evidence"] == "已核实" and held["summary"] == "抢险"
