"""What people do on the pages: find, read, correct, compare, ask, print, fill in."""

from __future__ import annotations

import io
import zipfile

import docx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ganbu.access.models import AuditEntry
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.formats.lrmx import read_lrmx
from ganbu.formats.tables import read_sheets
from ganbu.records import queries, writing
from ganbu.records.models import MODELS, Card, LocalRow, Request, SavedQuery, UnitNode
from ganbu.records.writing import current_row, row_values
from ganbu.vocabulary import load_vocabulary
from ganbu.web import worker

pytestmark = pytest.mark.django_db
WORDS = load_vocabulary().registers


@pytest.fixture
def client(sign_in):
    return sign_in("cadre_section")


def text_of(response) -> str:
    return response.content.decode()


def rows_of(response) -> list[list[str]]:
    return read_sheets("x.xlsx", b"".join(response.streaming_content))[0].rows


def test_home_for_every_role(sign_in):
    assert "名干部" in text_of(sign_in("cadre_section").get("/"))
    assert "还没有角色" in text_of(sign_in("nobody").get("/"))
    own = text_of(sign_in("cadre").get("/"))
    assert "我的档案" in own.partition("<main")[2] and "工作日志" in own, (
        "one's own file, and what one is to fill in"
    )
    assert "份档案在审" in text_of(sign_in("file_room").get("/")) and "按期要填的" in text_of(
        sign_in("unit_contact").get("/")
    )
    for role in ("audit_admin", "cadre", "agency"):
        assert sign_in(role).get("/").status_code == 200


def test_finding_and_the_instant_list(client, someone):
    card = Card.objects.get(pk=someone.pk)
    for q in (card.name, card.pinyin, card.initials, card.pk):
        assert card.pk in text_of(client.get("/people/", {"q": q}))
    part = client.get("/people/", {"q": card.name}, headers={"HX-Request": "true"})
    assert "<html" not in text_of(part)
    assert "没有找到" in text_of(client.get("/people/", {"q": "绝无此人"}))
    assert client.get("/people/", {"unit": card.node.unit}).status_code == 200


def test_the_person_page_and_every_tab(client, someone):
    page = text_of(client.get(reverse("person", args=[someone.pk])))
    assert "<svg" in page and "完整度" in page and "＊＊＊" in page
    for name, register in WORDS.items():
        if register.subject == "person":
            assert client.get(reverse("person", args=[someone.pk]), {"tab": name}).status_code == 200, name


def test_as_of_and_as_known(client, someone):
    held = queries.known(queries.held(someone.pk))["appointment"]
    first = min(r.day("start_date").first() for r in held)
    early = client.get(reverse("person", args=[someone.pk]), {"tab": "appointment", "as_of": first.replace(year=first.year - 1).isoformat()})  # fmt: skip
    assert "没有记录" in text_of(early) and "现在看到的是" in text_of(early)
    assert "日期应写作" in text_of(client.get(reverse("person", args=[someone.pk]), {"as_of": "昨天"}))
    unknown = client.get(
        reverse("person", args=[someone.pk]), {"tab": "appointment", "known_at": "1999-01-01"}
    )
    assert "没有记录" in text_of(unknown)


def test_a_masked_number_is_shown_for_a_reason_only(client, someone):
    register = WORDS["person"]
    number = row_values(register, current_row(register, someone.pk))["id_number"]
    assert number not in text_of(client.get(reverse("person", args=[someone.pk])))
    url = reverse("reveal", args=[someone.pk, "id_number"])
    assert "请写明理由" in text_of(client.post(url, {"reason": ""}))
    assert number in text_of(client.post(url, {"reason": "核对档案"}))
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.subject, entry.detail["reason"]) == ("read.reveal", someone.pk, "核对档案")
    assert (
        client.post(reverse("reveal", args=[someone.pk, "name"]), {"reason": "核对档案"}).status_code == 404
    )


def test_correcting_with_a_reason_and_the_history(client, someone):
    url = reverse("edit", args=[someone.pk, "person", someone.pk])
    page = client.get(url)
    fields = {f["item"].name: f["value"] for f in page.context["fields"]}
    row = str(page.context["row"].row)

    def posted(**changes):
        plain = {k: "" if v is None else "是" if v is True else "否" if v is False else v.iso() if hasattr(v, "iso") else str(v) for k, v in fields.items()}  # fmt: skip
        return {**plain, "row": row, "reason": "测试", **changes}

    assert "请写明事由" in text_of(client.post(url, posted(reason="")))
    wrong = client.post(url, posted(birth_date="1980-02-30"))
    assert wrong.status_code == 422 and "应为日期" in text_of(wrong)
    assert client.post(url, posted(sex="男女")).status_code == 422
    assert client.post(url, posted(health="良好")).status_code == 302
    stored = row_values(WORDS["person"], current_row(WORDS["person"], someone.pk))
    assert stored["health"] == "良好" and "＊" not in stored["id_number"], "a masked value stays what it was"
    assert "他人更正" in text_of(client.post(url, posted(health="一般")))
    history = text_of(client.get(reverse("history", args=[someone.pk])))
    assert "良好" in history and "测试" in history


def test_adding_and_ending_a_row(client, someone):
    url = reverse("add", args=[someone.pk, "award"])
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "三等功", "date": "2026-05", "reason": "虚字1号"}).status_code == 302
    row = MODELS["award"].objects.get(f_person=someone.pk, f_name="三等功")
    edit = reverse("edit", args=[someone.pk, "award", row.f_award_id])
    assert client.post(edit, {"end": "1", "row": row.row, "reason": "录错"}).status_code == 302
    row.refresh_from_db()
    assert row.superseded_at is not None
    assert client.get(edit).status_code == 404
    post = reverse("add", args=[someone.pk, "appointment"])
    wrong = client.post(post, {"title": "x", "start_date": "2020-01", "end_date": "2019-01", "reason": "r"})
    assert wrong.status_code == 422 and "不能早于" in text_of(wrong)


def test_somebody_new_and_the_warning_of_the_same_name(client, someone):
    values = {"name": someone.name, "sex": "男", "birth_date": "1985-01", "reason": "新录用"}
    warned = client.post("/people/new/", values)
    assert "同名" in text_of(warned) and Card.objects.filter(name=someone.name).count() == 1
    assert client.post("/people/new/", {**values, "sure": "1"}).status_code == 302
    assert Card.objects.filter(name=someone.name).count() == 2
    assert "请填姓名" in text_of(client.post("/people/new/", {"sex": "男"}))


def test_comparing_four_people(client):
    keys = list(Card.objects.values_list("pk", flat=True)[:5])
    page = text_of(client.get("/people/compare/", {"person": keys}))
    assert page.count('scope="col"') == 4
    assert "勾选" in text_of(client.get("/people/compare/"))


def test_merging_on_the_page_and_undoing(client, someone):
    values = row_values(WORDS["person"], current_row(WORDS["person"], someone.pk))
    with writing.writing("add", "x") as act:
        act.add(
            WORDS["person"], [{"person_id": "DUP", **{k: values[k] for k in ("name", "sex", "birth_date")}}]
        )
    assert "DUP" in text_of(client.get("/people/alike/"))
    client.post("/people/alike/", {"keep": someone.pk, "gone": ["DUP", someone.pk]})
    assert not Card.objects.filter(pk="DUP").exists()
    change = client.get("/people/alike/").context["merges"][0]
    client.post(f"/changes/{change.pk}/undo/")
    assert Card.objects.filter(pk="DUP").exists()
    assert "已经撤销过" in text_of(client.post(f"/changes/{change.pk}/undo/", follow=True))
    assert client.post("/changes/1/undo/").status_code == 404, "only merges are undone here"


def test_resume_reconciliation_page(client, someone):
    page = client.get(reverse("reconcile", args=[someone.pk]))
    assert "任职登记" in text_of(page)
    keys = [p["key"] for p in page.context["pairs"] if p["state"] == "only_row"]
    client.post(reverse("reconcile", args=[someone.pk]), dict.fromkeys(keys, "row") | {"reason": ""})
    assert client.get(reverse("reconcile", args=[someone.pk])).context["open"] is bool(keys)
    client.post(reverse("reconcile", args=[someone.pk]), dict.fromkeys(keys, "row") | {"reason": "核对"})
    assert all(
        p["state"] == "same" for p in client.get(reverse("reconcile", args=[someone.pk])).context["pairs"]
    )


def test_units_tree_edit_and_new(client, someone):
    assert (
        someone.node.name in text_of(client.get("/units/"))
        or UnitNode.objects.get(pk=someone.node_id).depth > 1
    )
    assert someone.node.name in text_of(client.get("/units/", {"q": someone.node.name[:2]}))
    assert client.get(reverse("children", args=[UnitNode.objects.get(depth=0).unit])).status_code == 200
    assert someone.name in text_of(client.get(reverse("unit", args=[someone.node.unit])))
    new = reverse("new-unit", args=[someone.node.unit])
    assert client.get(new).context["fields"][3]["value"] in (someone.node.unit, "", None)
    assert (
        client.post(
            new, {"name": "临时指挥部", "parent": someone.node.unit, "temporary": "是", "reason": "虚字2号"}
        ).status_code
        == 302
    )
    made = UnitNode.objects.get(name="临时指挥部")
    assert made.parent_id == someone.node_id
    edit = reverse("edit-unit", args=[made.unit])
    row = client.get(edit).context["row"].row
    for changes, told in (({"name": ""}, "请填名称"), ({"parent": "无"}, "没有编号"), ({"parent": made.unit}, "自己的下级"), ({"reason": ""}, "请写明事由")):  # fmt: skip
        assert told in text_of(
            client.post(
                edit, {"name": "指挥部", "parent": someone.node.unit, "reason": "r", "row": row, **changes}
            )
        )
    assert (
        client.post(
            edit, {"name": "指挥部", "parent": someone.node.unit, "reason": "更名", "row": row}
        ).status_code
        == 302
    )
    assert UnitNode.objects.get(pk=made.pk).name == "指挥部"


def test_teams_and_their_structure(client):
    assert "领导班子" in text_of(client.get("/teams/"))
    team = MODELS["team"].objects.filter(superseded_at=None).first()
    page = client.get(reverse("team", args=[team.f_team_id]))
    total = len(page.context["slots"])
    for _title, items in page.context["structure"]:
        assert sum(n for _label, n, _share in items) == total
    assert client.get(reverse("team", args=["none"])).status_code == 404


def test_the_condition_builder(client):
    def asked(*lines, **more):
        names = ("link", "opens", "field", "operator", "value", "on", "closes")
        return client.get(
            "/query/", {**{n: [line[i] for line in lines] for i, n in enumerate(names)}, "build": "1", **more}
        )

    women = asked(("and", "", "person.sex", "=", "女", "", ""))
    expected = Card.objects.filter(sex="女").count()
    assert women.context["condition"] == "性别 = '女'" and women.context["page"].paginator.count == expected
    both = asked(("and", "(", "person.sex", "=", "女", "", ""), ("or", "", "person.sex", "=", "男", "", ")"), ("and", "", "person.birth_date", "<=", "1980-12-31", "", ""))  # fmt: skip
    assert both.context["page"].paginator.count == sum(1 for c in Card.objects.exclude(birth="").exclude(sex="") if c.birth <= "1980-12-31" and len(c.birth) >= 7)  # fmt: skip
    then = asked(("and", "", "appointment.title", "contains", "长", "2021-07-01", ""))
    assert (
        "any(任职" in then.context["condition"]
        and "2021-07-01" in then.context["condition"]
        and not then.context["wrong"]
    )
    within = asked(("and", "", "person.birth_date", "known", "", "", ""), within="性别 = '女'")
    assert within.context["page"].paginator.count <= expected
    for line, told in (
        (("and", "", "person.birth_date", "=", "昨天", "", ""), "应写作"), (("and", "(", "person.sex", "=", "女", "", ""), "右括号"),
        (("and", "", "person.sex", "=", "女", "", ")"), "右括号多了"), (("and", "", "person.nothing", "=", "x", "", ""), "没有“person.nothing”"),
        (("and", "", "assessment.year", ">=", "x", "", ""), "应填数"), (("and", "", "person.sex", "like", "x", "", ""), "没有这种比较"),
        (("and", "", "person.sex", "=", "", "", ""), "没有填值"), (("and", "", "appointment.title", "=", "x", "昨天", ""), "日期应写作"),
    ):  # fmt: skip
        wrong = asked(line)
        assert wrong.status_code == 422 and told in wrong.context["wrong"], wrong.context["wrong"]


def test_the_rule_language_saved_and_shared(client, sign_in):
    page = client.get("/query/", {"condition": "性别 = '女' and 年龄 <= 60"})
    assert page.context["page"].paginator.count > 0
    assert "不认识" in client.get("/query/", {"condition": "姓别 = '女'"}).context["wrong"]
    assert (
        client.post(
            "/query/save/", {"name": "六十以下女干部", "condition": "性别 = '女'", "shared": "1"}
        ).status_code
        == 302
    )
    client.post("/query/save/", {"name": "", "condition": ""})
    assert "六十以下女干部" in text_of(sign_in("leader").get("/query/"))
    kept = SavedQuery.objects.get()
    assert sign_in("leader").post(f"/query/{kept.pk}/drop/").status_code == 404
    assert client.post(f"/query/{kept.pk}/drop/").status_code == 302
    rows = rows_of(client.get("/query/", {"condition": "性别 = '女'", "xlsx": "1"}))
    assert len([r for r in rows[1:] if len(r) > 1 and r[2]]) == Card.objects.filter(sex="女").count()
    assert AuditEntry.objects.filter(action="export").exists()
    assert sign_in("leader").get("/query/", {"condition": "性别 = '女'", "xlsx": "1"}).status_code == 403


def test_a_query_cannot_ask_what_an_account_may_not_see(sign_in):
    for condition in (
        "any(个人事项查核, 结果 = 'x')",
        "身份证号 = '370102197803141237'",
        "any(report_check, true)",
    ):
        page = sign_in("leader").get("/query/", {"condition": condition})
        assert page.status_code == 422 and "不能按" in page.context["wrong"], condition


def test_cross_tables_add_up_and_drill_down(client):
    page = client.get("/query/cross/", {"down": "age", "across": "sex"})
    assert page.context["total"] == Card.objects.count()
    for row in page.context["rows"]:
        for cell in row["cells"]:
            assert client.get(cell["url"]).context["page"].paginator.count == cell["n"]
    for total in page.context["totals"]:
        assert client.get(total["url"]).context["page"].paginator.count == total["n"]
    assert client.get("/query/cross/", {"down": "sex", "across": "sex"}).status_code == 422
    assert rows_of(client.get("/query/cross/", {"down": "level", "across": "education", "xlsx": "1"}))


def test_findings_reasons_and_the_worker(client, sign_in, someone):
    page = client.get("/findings/")
    assert page.context["page"].paginator.count == Finding.objects.count() > 0
    one = Finding.objects.filter(register="person").first()
    told = text_of(client.get(f"/findings/{one.pk}/"))
    assert one.policy in told and "基准日" in told
    assert (
        client.get("/findings/", {"policy": one.policy, "outcome": one.outcome, "q": one.name})
        .context["page"]
        .paginator.count
        >= 1
    )
    assert len(rows_of(client.get("/findings/", {"policy": one.policy, "xlsx": "1"}))) > 1
    client.post("/findings/run/")
    worker.evaluate_if_due()
    assert EvaluationRun.objects.count() == 2
    worker.evaluate_if_due()
    assert EvaluationRun.objects.count() == 2, "once a day, unless asked"
    other = Finding.objects.filter(register="person").exclude(subject=someone.pk).first()
    assert sign_in("cadre").get(f"/findings/{other.pk}/").status_code == 404


def test_forms_on_paper_and_back(client, someone):
    lrmx = client.get(reverse("form", args=[someone.pk, "lrmx"]))
    assert read_lrmx(lrmx.content, "x").name == someone.name
    made = docx.Document(io.BytesIO(client.get(reverse("form", args=[someone.pk, "docx"])).content))
    told = "".join(cell.text for table in made.tables for row in table.rows for cell in row.cells)
    assert someone.name in told and "{{" not in told and "{%" not in told
    assert client.get(reverse("form", args=[someone.pk, "pdf"])).content[:5] == b"%PDF-"
    assert client.get(reverse("form", args=[someone.pk, "exe"])).status_code == 404
    assert AuditEntry.objects.filter(action="print", subject=someone.pk).count() == 3


@pytest.fixture
def layout(settings, tmp_path):
    """Puts a docx with one paragraph where the department's own layout of the form is."""
    settings.HOME = tmp_path
    (tmp_path / "templates").mkdir()

    def put(text):
        made = docx.Document()
        made.add_paragraph(text)
        made.save(tmp_path / "templates" / "form.docx")

    return put


def test_the_layout_of_the_department_is_used(client, someone, layout):
    layout("某县专用 {{ name }}")
    made = docx.Document(io.BytesIO(client.get(reverse("form", args=[someone.pk, "docx"])).content))
    assert [p.text for p in made.paragraphs] == [f"某县专用 {someone.name}"]
    content = b"".join(
        client.get("/people/roster/", {"person": someone.pk, "kind": "docx"}).streaming_content
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        made = docx.Document(io.BytesIO(archive.read(archive.namelist()[0])))
    assert made.paragraphs[0].text.startswith("某县专用")


def test_a_mistake_in_the_layout_is_told_and_nothing_is_printed(client, someone, layout):
    layout("{{ nmae }}")
    for url in (reverse("form", args=[someone.pk, "docx"]), f"/people/roster/?person={someone.pk}&kind=docx"):
        assert "form.docx：“{{ nmae }}”里没有“nmae”这个名称。是否想写：name" in text_of(client.get(url, follow=True))  # fmt: skip
    assert not AuditEntry.objects.filter(action__in=("print", "export")).exists()
    assert client.get(reverse("form", args=[someone.pk, "lrmx"])).status_code == 200


def test_the_shipped_layout_can_be_downloaded_and_put_in_place(client, sign_in, someone, settings, tmp_path):
    assert reverse("form-template") in text_of(client.get("/help/"))
    assert reverse("form-template") not in text_of(sign_in("cadre").get("/help/"))
    response = client.get(reverse("form-template"))
    assert "form.docx" in response["Content-Disposition"]
    settings.HOME = tmp_path
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "form.docx").write_bytes(response.content)
    made = docx.Document(io.BytesIO(client.get(reverse("form", args=[someone.pk, "docx"])).content))
    assert made.paragraphs[0].text == "干部任免审批表"


def test_rosters_and_zips_of_forms(client):
    keys = list(Card.objects.values_list("pk", flat=True)[:3])
    rows = rows_of(client.get("/people/roster/", {"person": keys, "kind": "xlsx"}))
    assert {row[0] for row in rows[1:4]} == set(keys)
    content = b"".join(client.get("/people/roster/", {"person": keys, "kind": "lrmx"}).streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.namelist()) == 3
    assert client.get("/people/roster/", {"kind": "exe"}).status_code == 404
    unit = Card.objects.get(pk=keys[0]).node.unit
    assert (
        client.get("/people/roster/", {"unit": unit, "q": Card.objects.get(pk=keys[0]).name}).status_code
        == 200
    )


def test_declared_registers_from_form_and_template(client, someone):
    assert "走访记录" in text_of(client.get("/registers/"))
    assert (
        client.get("/registers/visit_log/").status_code == 200
        and client.get("/registers/none/").status_code == 404
    )
    where = client.post("/registers/visit_log/", {"who": someone.pk}).headers["Location"]
    assert where == reverse("add", args=[someone.pk, "visit_log"])
    assert "没有这个人" in text_of(client.post("/registers/visit_log/", {"who": "绝无此人"}, follow=True))
    assert client.post(where, {"date": "2026-05-01", "reason": "填报"}).status_code == 302
    head = rows_of(client.get("/registers/visit_log/template/"))[0]
    sheet = [head, [""] * len(head)]
    sheet[1][head.index("人员")], sheet[1][head.index("日期")] = someone.pk, "2026-06-01"
    csv = "\n".join(",".join(row) for row in sheet).encode()
    client.post("/registers/visit_log/", {"file": SimpleUploadedFile("x.csv", csv)})
    assert LocalRow.objects.filter(register="visit_log", subject=someone.pk).count() == 2
    broken = csv.replace(b"2026-06-01", b"2026-06-31").replace(someone.pk.encode(), "绝无此人".encode())
    told = text_of(
        client.post("/registers/visit_log/", {"file": SimpleUploadedFile("x.csv", broken)}, follow=True)
    )
    assert "第 2 行" in told and "没有“绝无此人”" in told
    unknown = "人员,无此栏\nx,y".encode()
    assert "没有“无此栏”这一栏" in text_of(
        client.post("/registers/visit_log/", {"file": SimpleUploadedFile("x.csv", unknown)}, follow=True)
    )
    assert LocalRow.objects.count() == 2
    assert "走访记录" in text_of(client.get(reverse("person", args=[someone.pk])))


def test_requests_are_decided_by_the_section(client, sign_in, someone):
    asking = sign_in("unit_contact")
    url = reverse("request-make", args=[someone.pk])
    key = f"person|{someone.pk}|health"
    for posted, told in (({"what": "x", "reason": "xx"}, "请选择"), ({"what": key, "reason": ""}, "理由"), ({"what": f"person|{someone.pk}|birth_date", "value": "x", "reason": "理由"}, "应为日期")):  # fmt: skip
        assert told in text_of(asking.post(url, posted))
    for value in ("良好", "一般"):
        asking.post(url, {"what": key, "value": value, "reason": "体检"})
    first, second = Request.objects.order_by("pk")
    assert "体检" in text_of(client.get("/requests/", {"state": "open"}))
    client.post(f"/requests/{second.pk}/", {"act": "refuse"})
    assert Request.objects.get(pk=second.pk).state == "open", "a refusal needs words"
    client.post(f"/requests/{second.pk}/", {"act": "refuse", "answer": "无依据"})
    client.post(f"/requests/{first.pk}/", {"act": "grant"})
    first.refresh_from_db()
    assert first.state == "granted" and first.change.reason.endswith("体检")
    assert current_row(WORDS["person"], someone.pk).f_health == "良好"
    assert "已经办理" in text_of(client.post(f"/requests/{first.pk}/", {"act": "grant"}, follow=True))
    assert "无依据" in text_of(asking.get("/requests/"))


def test_english_behind_a_switch(client):
    client.post("/language/", {"language": "en"})
    assert 'lang="en"' in text_of(client.get("/help/"))


PAGES = (
    "/",
    "/people/",
    "/people/?q=w",
    "/units/",
    "/teams/",
    "/findings/",
    "/imports/",
    "/requests/",
    "/query/",
    "/registers/",
)


def test_pages_ask_no_more_as_the_data_grows(client, someone):
    urls = [
        *PAGES,
        reverse("person", args=[someone.pk]),
        reverse("unit", args=[someone.node.unit]),
        reverse("history", args=[someone.pk]),
    ]

    def counted():
        found = []
        for url in urls:
            client.get(url)
            with CaptureQueriesContext(
                connection,
            ) as asked:
                client.get(url)
            found.append(len(asked))
        return found

    before = counted()
    many = [
        {"person_id": f"M{n}", "name": f"阿{n}", "statistics_unit": someone.node.unit} for n in range(300)
    ]
    posts = [
        {"appointment_id": f"MA{n}", "person": f"M{n}", "unit": someone.node.unit, "title": "科员"}
        for n in range(300)
    ]
    own = [{"award_id": f"MW{n}", "person": someone.pk, "name": f"奖{n}"} for n in range(40)]
    with writing.writing("add", "x") as act:
        act.add(WORDS["person"], many)
        act.add(WORDS["appointment"], posts)
        act.add(WORDS["award"], own)
    after = counted()
    assert after == before
    assert max(after) <= 25, dict(zip([*urls], after, strict=True)).__str__()
