"""The command line as a person meets it: output, exit codes, one clear message."""

import json
import subprocess
import sys
from pathlib import Path

import docx
import pytest

from ganbu.engine.records import Records
from ganbu.synthetic import build_district, write_lrmx_folder

DAY = ("--as-of", "2026-06-30")


def ganbu(*args, cwd=None):
    run = subprocess.run(
        [sys.executable, "-c", "from ganbu.cli import main; main()", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
    )
    return run.returncode, run.stdout, run.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    district = build_district(200)
    Records.from_rows(district).write(folder / "records")
    write_lrmx_folder(district, folder / "lrmx", 20)
    return folder


def test_evaluate_as_table_json_csv_and_parquet(data, tmp_path):
    records = ("--records", data / "records", *DAY)
    code, out, _ = ganbu("evaluate", "任职满十年交流", *records)
    assert code == 0 and "必须交流" in out and "共 " in out
    code, out, _ = ganbu("evaluate", "任职满十年交流", "--format", "json", *records)
    found = json.loads(out)["任职满十年交流"]
    assert code == 0 and {"对象", "结果", "依据"} <= set(found[0])
    code, out, _ = ganbu("evaluate", "任职满十年交流", "--format", "csv", *records)
    assert code == 0 and len(out.splitlines()) == len(found) + 1
    assert ganbu("evaluate", "national", "--format", "parquet", "--out", tmp_path / "out", *records)[0] == 0
    assert (tmp_path / "out" / "到龄退休.parquet").exists()
    told = tmp_path / "结果.json"
    assert ganbu("evaluate", "任职满十年交流", "--out", told, *records)[0] == 0
    assert json.loads(told.read_text("utf-8"))["任职满十年交流"] == found, "as its name says"
    code, _, err = ganbu("evaluate", "任职满十年交流", "--out", tmp_path / "结果", *records)
    assert code == 2 and "--format" in err and not (tmp_path / "结果").exists()
    code, out, err = ganbu("evaluate", "national", *records)
    assert code == 0 and "未运行 优秀比例" in err


def test_explain_and_simulate(data):
    records = ("--records", data / "records", *DAY)
    found = json.loads(ganbu("evaluate", "任职满十年交流", "--format", "json", *records)[1])["任职满十年交流"]
    who = next(row["对象"] for row in found if row["结果"] == "必须交流")
    code, out, _ = ganbu("explain", "任职满十年交流", who, *records)
    assert code == 0 and "依据" in out and "同职起算日" in out
    assert (
        json.loads(ganbu("explain", "任职满十年交流", who, "--format", "json", *records)[1])["subject"] == who
    )
    code, out, _ = ganbu("simulate", "任职满十年交流", "--against", "national", "--set", "年限=5", *records)
    assert code == 0 and "必须交流" in out
    assert json.loads(
        ganbu(
            "simulate",
            "任职满十年交流",
            "--against",
            "national",
            "--set",
            "年限=5",
            "--format",
            "json",
            *records,
        )[1]
    )["moves"]


def test_packs_and_vocabulary(tmp_path):
    code, out, _ = ganbu("packs", "list", "jiangsu/nantong")
    assert code == 0 and "任职年限交流" in out
    assert (
        ganbu("packs", "check", "jiangsu/nantong")[0] == 0
        and ganbu("packs", "test", "jiangsu/nantong", "--only", "容差")[0] == 0
    )
    assert (
        "班子" in ganbu("vocabulary")[1]
        and json.loads(ganbu("vocabulary", "--format", "json")[1])["registers"]["person"]
    )
    (tmp_path / "m.jsonl").write_text('{"id": "904-5", "cat": "I"}\n', "utf-8")
    cited = ("packs", "coverage", tmp_path / "m.jsonl", "registers", "jiangsu/nantong")
    code, out, err = ganbu(*cited, "--format", "json")
    assert code == 0 and json.loads(out)["ids"] == ["904-5"], err
    assert "100.0%" in ganbu(*cited)[1]


def test_import_undo_and_export(data, tmp_path):
    into = tmp_path / "records"
    Records.open(data / "records").write(into)
    code, out, _ = ganbu("import", data / "lrmx", "--into", into, "--dry-run", "--report", tmp_path / "r.csv")
    assert code == 0 and "预览" in out and (tmp_path / "r.csv").exists() and not (into / "_imports").exists()
    code, out, _ = ganbu("import", data / "lrmx", "--into", into)
    assert code == 0 and "20 份文件" in out
    batch = ganbu("undo-import", "--into", into)[1].strip()
    assert (
        ganbu("undo-import", batch, "--into", into)[0] == 0
        and "没有可以撤销" in ganbu("undo-import", "--into", into)[1]
    )
    code, out, _ = ganbu(
        "export",
        "lrmx",
        "--out",
        tmp_path / "out",
        "--records",
        into,
        "--where",
        "性别 = '女' and 年龄 <= 40",
        *DAY,
    )
    assert code == 0 and len(list((tmp_path / "out").iterdir())) > 0


def test_a_package_goes_out_and_comes_in(data, tmp_path):
    target, into = tmp_path / "包" / "通用格式.zip", tmp_path / "新档案"
    records = ("--records", data / "records", *DAY)
    code, out, _ = ganbu("export", "generic", "--out", target, "--where", "年龄 <= 35", *records)
    assert code == 0 and "已写出" in out
    code, out, _ = ganbu("import", target, "--into", into)
    people = {row["name"] for row in Records.open(into).rows("person")}
    assert code == 0 and people and f"新增 {len(people)} 人" in out
    known = [row["person_id"] for row in Records.open(data / "records").rows("person")][:2]
    code, out, _ = ganbu("export", "generic", "--out", target, "--person", known[1], "--person", known[0], *records)  # fmt: skip
    assert code == 0 and "已写出 2 人" in out
    code, _, err = ganbu("export", "generic", "--out", target, "--person", "无此人", *records)
    assert code == 2 and "没有编号为“无此人”的人员" in err


def test_the_layout_of_the_department_is_used_for_docx(data, tmp_path):
    made = docx.Document()
    paragraph = made.add_paragraph("某县专用 {{ name }}")
    (tmp_path / "ganbu-data" / "templates").mkdir(parents=True)
    layout = tmp_path / "ganbu-data" / "templates" / "form.docx"
    made.save(layout)
    wanted = (
        "export",
        "docx",
        "--out",
        tmp_path / "out",
        "--records",
        data / "records",
        "--where",
        "年龄 <= 30",
    )
    assert ganbu(*wanted, cwd=tmp_path)[0] == 0
    one = next((tmp_path / "out").iterdir())
    assert docx.Document(str(one)).paragraphs[0].text == f"某县专用 {one.name.partition('-')[0]}"
    paragraph.text = "{{ nmae }}"
    made.save(layout)
    code, _, err = ganbu(*wanted, cwd=tmp_path)
    assert code == 1 and "form.docx：“{{ nmae }}”里没有“nmae”这个名称" in err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("evaluate", "到零退休"), 1, "到龄退休"),
        (("evaluate", "到龄退休", "--records", "没有这里"), 1, "没有这个档案文件夹"),
        (("evaluate", "到龄退休", "--as-of", "昨天"), 2, "2026-06-30"),
        (("evaluate", "到龄退休", "--format", "pdf"), 2, "parquet"),
        (("evaluate", "三色警示"), 1, "REQUIRED"),
        (("evaluate", "任职年限交流", "--set", "年限"), 2, "参数=值"),
        (("packs", "check", "没有这个包"), 1, "没有规则包"),
        (("vocabulary", "--register", "任值"), 1, "任职"),
        (("explain", "到龄退休", "没有这个人"), 1, "没有“没有这个人”"),
        (("fly",), 2, ""),
    ],
)
def test_what_goes_wrong_is_said_once(data, args, code, said):
    where = (
        ()
        if "--records" in args or args[0] not in ("evaluate", "explain")
        else ("--records", data / "records")
    )
    got, _out, err = ganbu(*args, *where)
    assert got == code and said in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy: 甲\nkind: eligibility\nrequire: {a: 年令 >= 3}\n", "pack.yaml:3:14"),
        (
            "policy: 甲\nkind: score\ncomponents: {a: 乙.数值}\n---\npolicy: 乙\nkind: score\ncomponents: {a: 甲.数值}\n",
            "成环",
        ),
        ("policy: 甲\nkind: score\ncomponents: {a: 1}\nbands: {高: '> 90', 低: '< 90'}\n", "没有盖住 90"),
    ],
)
def test_a_broken_pack_fails_the_check_with_its_place(tmp_path, text, said):
    (tmp_path / "pack.yaml").write_text(text, "utf-8")
    code, out, _ = ganbu("packs", "check", tmp_path)
    assert code == 1 and said in out


def test_a_failing_scenario_fails_the_test(tmp_path):
    (tmp_path / "pack.yaml").write_text(
        "policy: 甲\nkind: eligibility\nsource: x\nrequire: {a: 是}\n---\nscenario: 错\nas_of: 2024-01-01\nexpect: {甲: 不符合}\n",
        "utf-8",
    )
    code, out, _ = ganbu("packs", "test", tmp_path)
    assert code == 1 and "应为 不符合，实为 符合" in out


def test_broken_files_and_bombs(tmp_path):
    import zipfile

    (tmp_path / "坏.lrmx").write_bytes(b"<Person>")
    code, _, err = ganbu("import", tmp_path / "坏.lrmx", "--into", tmp_path / "r")
    assert code == 1 and "坏.lrmx" in err
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("炸.lrmx", b"0" * 5_000_000)
    code, _, err = ganbu("import", tmp_path / "b.zip", "--into", tmp_path / "r")
    assert code == 1 and "炸弹" in err and not (tmp_path / "r").exists()


def test_every_shipped_pack_is_in_order_as_a_user_runs_it():
    """Their scenarios all run in test_engines_agree.py."""
    code, out, err = ganbu("packs", "check")
    assert code == 0, out + err
    code, out, err = ganbu("packs", "test", "national", "registers")
    assert code == 0, out + err


def test_the_demonstration(tmp_path):
    code, out, err = ganbu("demo", "--people", "150", "--dir", tmp_path / "demo", "--no-serve")
    assert code == 0, err
    for part in (
        "虚构县演示报告",
        "亮红灯的班子",
        "必须交流",
        "到龄",
        "红黄牌",
        "不能判定",
        "接着可以",
        "ganbu evaluate",
    ):
        assert part in out
    assert (tmp_path / "demo" / "person.parquet").exists()
    code, _, _ = ganbu("demo", "--people", "60", "--dir", tmp_path / "demo", "--no-serve")
    assert code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "person.csv").write_text("person_id\n1\n", "utf-8")
    code, _, err = ganbu("demo", "--dir", tmp_path / "mine")
    assert code == 2 and "不会覆盖" in err and Path(tmp_path / "mine" / "person.csv").exists()
