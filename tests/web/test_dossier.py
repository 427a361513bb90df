"""The personnel file: rounds signed by different people, issues and what they hold, determinations, materials, custody."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from ganbu.access.current import acting
from ganbu.access.models import Account, AuditEntry
from ganbu.access.services import create_account, grant
from ganbu.dates import PartialDate
from ganbu.engine.record_files import plain_text
from ganbu.errors import PackError, RecordsError
from ganbu.formats.tables import read_sheets
from ganbu.records.dossier import audits, issues, materials
from ganbu.records.dossier.audits import Line
from ganbu.records.dossier.paper import confirmation
from ganbu.records.dossier.rules import rules
from ganbu.records.models import MODELS, Card
from ganbu.records.writing import current_row, row_values, writing

MUST = [e.name for e in rules().elements.values() if e.must]


@pytest.fixture
def reviewers(db):
    """Four people of the file room who are nobody's kin."""
    found = []
    for number in range(4):
        account = create_account(
            f"reviewer{number}", f"审核{number}", "correct horse battery", must_change=False
        )
        grant(account, "file_room")
        found.append(account)
    return found


@pytest.fixture(autouse=True)
def at_the_desk(db):
    with acting(name="测试"):
        yield


def all_well(person: str, **other: Line) -> dict[str, Line]:
    told = audits.declared(person)
    lines = {}
    for name, element in rules().elements.items():
        found = told.get(name) or "与填报相同"
        if element.dated and not told.get(name):
            lines[name] = Line("不适用")
        elif element.must:
            lines[name] = Line("一致", found, "入党志愿书", "3")
        else:
            lines[name] = Line("不适用")
    return lines | other


def signed(identity: str, reviewers: list[Account], lines: dict[str, Line]) -> audits.Audit:
    for account in reviewers:
        found = audits.review(identity, account, lines)
    return found


def opened(person: str, matter: str = "本批动议", **more: str) -> str:
    return audits.open_audit(
        person, more.pop("scheme", "两初一复"), more.pop("stage", "动议"), matter, **more
    )


# -- rounds -----------------------------------------------------------------------------------------------------------


def test_two_review_first_one_reviews_again_and_the_last_signature_closes(someone, reviewers):
    identity = opened(someone.pk, target="镇长")
    audit = audits.audit_of(identity)
    assert (audit.due, audit.due_round.name, audit.due_round.reviewers) == (1, "初审", 2)
    lines = all_well(someone.pk)
    assert audits.review(identity, reviewers[0], lines).due == 1
    assert audits.review(identity, reviewers[1], lines).due_round.name == "复审"
    closed = audits.review(identity, reviewers[2], lines)
    assert (closed.due, closed.values["conclusion"], closed.issues, closed.holds) == (0, "通过", [], [])
    elements = MODELS["file_element"].objects.filter(
        f_person=someone.pk, f_file_element_id__startswith=identity
    )
    assert {row.f_result for row in elements} == {"一致"} and elements.count() >= 5
    with pytest.raises(RecordsError, match="不再收意见"):
        audits.review(identity, reviewers[3], lines)


def test_nobody_signs_two_rounds_or_one_round_twice(someone, reviewers):
    identity, lines = opened(someone.pk), all_well(someone.pk)
    signed(identity, reviewers[:2], lines)
    for again in reviewers[:2]:
        with pytest.raises(RecordsError, match="一人只能签一轮"):
            audits.review(identity, again, lines)
    assert audits.audit_of(identity).due_round.name == "复审"


def test_schemes_differ_in_rounds(someone, stranger, reviewers):
    three, four = opened(someone.pk, scheme="三初二复"), opened(stranger.pk, scheme="四轮审核")
    signed(three, reviewers[:3], all_well(someone.pk))
    assert audits.audit_of(three).due_round.reviewers == 2
    assert not signed(four, reviewers[:3], all_well(stranger.pk)).values.get("closed_on")
    assert signed(four, reviewers[3:], all_well(stranger.pk)).values["conclusion"] == "通过"
    with pytest.raises(RecordsError, match="没有审核办法"):
        opened(someone.pk, "别的", scheme="一人包办")


@pytest.mark.parametrize("ground", ["本人", "亲属", "反向亲属", "家庭成员"])
def test_the_person_and_their_kin_are_recused(someone, stranger, reviewers, ground):
    identity = opened(someone.pk)
    account = reviewers[0]
    if ground == "本人":
        account.person = someone.pk
    elif ground == "家庭成员":
        account.name = "审核亲属"
        with writing("add", "测试") as act:
            act.add(audits.register("family"), [{"family_id": "F-x", "person": someone.pk, "name": "审核亲属", "relation": "妻子"}])  # fmt: skip
    else:
        account.person = stranger.pk
        pair = (someone.pk, stranger.pk) if ground == "亲属" else (stranger.pk, someone.pk)
        with writing("add", "测试") as act:
            act.add(audits.register("kin"), [{"kin_id": "K-x", "person": pair[0], "relative": pair[1], "path": "兄弟"}])  # fmt: skip
    with pytest.raises(RecordsError, match="应当回避"):
        audits.review(identity, account, all_well(someone.pk))
    assert audits.review(identity, reviewers[1], all_well(someone.pk)).signatures == {1: [str(reviewers[1])]}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (None, "还没有结论"),
        (Line("已认定", "x", "y", "1"), "结论应为"),
        (Line("不适用"), "必审"),
        (Line("一致", "1975-03"), "依据材料和页码"),
        (Line("一致", "1931-01-01", "登记表", "2"), "不能定为一致"),
        (Line("存疑", "1931-01-01", "登记表", "2"), "说明问题"),
        (Line("缺失"), "缺少什么材料"),
        (Line("存疑", "七五年", "登记表", "2", "两处不一"), "日期“七五年”应写作"),
    ],
)  # fmt: skip
def test_an_opinion_that_lacks_something_is_not_taken(someone, reviewers, line, complaint):
    identity = opened(someone.pk)
    lines = all_well(someone.pk)
    if line is None:
        del lines["年龄"]
    else:
        lines["年龄"] = line
    with pytest.raises(RecordsError, match=f"年龄：.*{complaint}"):
        audits.review(identity, reviewers[0], lines)
    assert audits.audit_of(identity).signatures == {}
    assert not MODELS["file_review"].objects.exists()


def test_a_date_known_to_the_month_agrees_with_its_day(someone, reviewers):
    identity = opened(someone.pk)
    born = audits.declared(someone.pk)["年龄"]
    lines = all_well(someone.pk, 年龄=Line("一致", born[:7], "入团志愿书", "1"))
    assert audits.review(identity, reviewers[0], lines).signatures[1] == [str(reviewers[0])]


def test_whoever_is_milder_than_the_round_before_says_why(someone, reviewers):
    identity = opened(someone.pk)
    doubt = all_well(someone.pk, 经历=Line("存疑", "1998 年空白", "履历表", "4", "有一年没有经历"))
    signed(identity, reviewers[:2], doubt)
    with pytest.raises(RecordsError, match="经历：结论比前几轮宽"):
        audits.review(identity, reviewers[2], all_well(someone.pk))
    why = all_well(someone.pk, 经历=Line("一致", "1998 年待业", "单位证明", "9", "补了证明"))
    assert audits.review(identity, reviewers[2], why).values["conclusion"] == "通过"


# -- opening ----------------------------------------------------------------------------------------------------------


def test_one_audit_for_a_matter_and_stage(someone):
    opened(someone.pk)
    with pytest.raises(RecordsError, match="已有审核件"):
        opened(someone.pk)
    assert opened(someone.pk, stage="考察") and opened(someone.pk, "另一批")


def test_a_passed_audit_is_used_again_only_while_nothing_came_in(someone, reviewers):
    with pytest.raises(RecordsError, match="没有可以沿用"):
        opened(someone.pk, "第一批", reuse=True)
    first = opened(someone.pk, "第二批")
    signed(first, reviewers[:3], all_well(someone.pk))
    again = audits.audit_of(opened(someone.pk, "第三批", reuse=True))
    assert (again.values["reused"], again.values["conclusion"], again.due) == (first, "通过", 0)
    with writing("add", "处分决定") as act:
        act.add(audits.register("sanction"), [{"sanction_id": "C-x", "person": someone.pk, "kind": "诫勉", "date": PartialDate(2026, 6, 1)}])  # fmt: skip
    assert audits.reusable(someone.pk) is None
    closed = MODELS["file_audit"].objects.get(f_file_audit_id=first, superseded_at__isnull=True)
    assert list(audits.since(someone.pk, closed.recorded_at)) == ["sanction"]


# -- issues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "result", "category", "outcome", "effect"),
    [
        ("年龄", "存疑", "一般性问题", "暂缓", "暂缓任用"),
        ("年龄", "造假", "涉嫌涂改造假", "暂缓", "暂缓任用"),
        ("学历", "缺失", "重要材料缺失", "终止", "终止选任"),
        ("身份", "存疑", "身份存疑", "限制", "限制提拔"),
        ("身份", "造假", "身份存疑", "限制", "限制提拔"),
    ],
)
def test_where_a_result_leads(someone, reviewers, element, result, category, outcome, effect):
    identity = opened(someone.pk)
    bad = all_well(someone.pk, **{element: Line(result, "", "招工表", "2", "与其他材料不一")})
    audit = signed(identity, reviewers[:3], bad)
    assert audit.values["conclusion"] == outcome
    issue, hold = audit.issues[0].values, audit.holds[0].values
    assert (issue["element"], issue["category"], hold["kind"]) == (element, category, effect)
    assert issue["due_on"].first() > date.today()
    assert ("review_on" in issue) == (category == "身份存疑")


def test_of_two_outcomes_the_stricter_counts(someone, reviewers):
    identity = opened(someone.pk)
    bad = {
        "学历": Line("缺失", note="没有毕业生登记表"),
        "年龄": Line("存疑", "1931-01-01", "登记表", "2", "两处不一"),
    }
    audit = signed(identity, reviewers[:3], all_well(someone.pk, **bad))
    assert (audit.values["conclusion"], len(audit.issues), len(audit.holds)) == ("终止", 2, 2)
    school = next(i for i in audit.issues if i.values["element"] == "学历")
    issues.resolve(school.identity, reviewers[0], issues.Verdict("材料补齐", "已补毕业生登记表"))
    assert audits.audit_of(identity).values["conclusion"] == "暂缓"


def test_of_two_re_reviewers_the_one_with_the_stricter_outcome_counts(someone, reviewers):
    account = create_account("reviewer9", "审核9", "correct horse battery", must_change=False)
    identity = opened(someone.pk, scheme="三初二复")
    signed(identity, reviewers[:3], all_well(someone.pk))
    audits.review(identity, reviewers[3], all_well(someone.pk, 学历=Line("缺失", note="没有登记表")))
    doubt = all_well(someone.pk, 学历=Line("存疑", "大学", "登记表", "2", "有涂改"))
    audit = audits.review(identity, account, doubt)
    assert (audit.values["conclusion"], audit.issues[0].values["category"]) == ("终止", "重要材料缺失")


@pytest.fixture
def doubtful(someone, reviewers):
    identity = opened(someone.pk)
    doubt = all_well(someone.pk, 年龄=Line("存疑", "1931-01-01", "招工表", "2", "两处不一"))
    return signed(identity, reviewers[:3], doubt)


def test_a_determination_corrects_the_person_in_the_same_change_and_takes_the_hold_away(doubtful, reviewers, someone):  # fmt: skip
    issue = doubtful.issues[0]
    before = row_values(audits.register("person"), current_row(audits.register("person"), someone.pk))[
        "birth_date"
    ]
    told = issues.resolve(issue.identity, reviewers[0], issues.Verdict("认定更正", "以最早材料为准", "招工表第2页", "1931-01-01"))  # fmt: skip
    assert told == ["出生日期"]
    row = current_row(audits.register("person"), someone.pk)
    closed = current_row(audits.register("file_issue"), issue.identity)
    assert row.f_birth_date == "1931-01-01" and row.change_id == closed.change_id
    after = audits.audit_of(doubtful.identity)
    assert after.values["conclusion"] == "通过" and after.holds[0].values["released_on"] == audits.today()
    assert current_row(audits.register("file_element"), f"{doubtful.identity}-年龄").f_result == "已认定"
    assert [value for _when, value in issues.value_at(issue.identity)] == [before, PartialDate(1931, 1, 1)]


def test_what_the_file_determined_cannot_be_declared_otherwise(doubtful, reviewers, someone, sign_in):
    issues.resolve(doubtful.issues[0].identity, reviewers[0], issues.Verdict("认定更正", "以最早材料为准", "招工表第2页", "1931-01-01"))  # fmt: skip
    wrong = issues.contradictions(someone.pk, {"birth_date": PartialDate(1980, 1, 1), "health": "良好"})
    assert "档案已认定出生日期为 1931-01-01" in wrong["birth_date"]
    assert issues.contradictions(someone.pk, {"birth_date": PartialDate(1931, 1, 1)}) == {}
    row = current_row(audits.register("person"), someone.pk)
    page = sign_in("cadre_section").post(reverse("edit", args=[someone.pk, "person", someone.pk]), {"birth_date": "1980-01-01", "reason": "本人申报", "row": row.row})  # fmt: skip
    assert page.status_code == 422 and "档案已认定" in page.content.decode()
    assert current_row(audits.register("person"), someone.pk).f_birth_date == "1931-01-01"


def test_forgery_proved_keeps_the_hold_and_an_issue_can_be_opened_again(doubtful, reviewers):
    issue = doubtful.issues[0].identity
    issues.resolve(issue, reviewers[0], issues.Verdict("查实造假", "涂改属实，移交纪检"))
    audit = audits.audit_of(doubtful.identity)
    assert audit.values["conclusion"] == "暂缓" and not audit.holds[0].values.get("released_on")
    with pytest.raises(RecordsError, match="已办结"):
        issues.resolve(issue, reviewers[0], issues.Verdict("查清无误", "再看"))
    issues.reopen(issue, "任职后又有反映")
    assert audits.audit_of(doubtful.identity).issues[0].values.get("closed_on") is None
    issues.resolve(issue, reviewers[0], issues.Verdict("查清无误", "笔误"))
    assert audits.audit_of(doubtful.identity).values["conclusion"] == "通过"
    issues.reopen(issue, "又查")
    again = audits.audit_of(doubtful.identity)
    assert again.values["conclusion"] == "暂缓" and not again.holds[0].values.get("released_on")


@pytest.mark.parametrize(
    ("verdict", "complaint"),
    [
        (issues.Verdict("大概没事", "x"), "核查结论应为"),
        (issues.Verdict("查清无误", ""), "核查报告"),
        (issues.Verdict("认定更正", "x", "", "1931-01-01"), "认定依据"),
        (issues.Verdict("认定更正", "x", "招工表", ""), "认定结果"),
        (issues.Verdict("认定更正", "x", "招工表", "一九三一年"), "出生日期"),
    ],
)
def test_a_conclusion_that_lacks_something_changes_nothing(doubtful, reviewers, verdict, complaint):
    with pytest.raises(RecordsError, match=complaint):
        issues.resolve(doubtful.issues[0].identity, reviewers[0], verdict)
    audit = audits.audit_of(doubtful.identity)
    assert audit.values["conclusion"] == "暂缓" and not audit.issues[0].values.get("closed_on")


def test_refusing_to_sign_suspends_and_proof_opens_an_issue(someone, reviewers):
    identity = opened(someone.pk)
    with pytest.raises(RecordsError, match="审结之后"):
        audits.sign(identity, True)
    signed(identity, reviewers[:3], all_well(someone.pk))
    audits.sign(identity, False)
    audit = audits.audit_of(identity)
    assert (audit.values["conclusion"], audit.values["signed"], audit.issues) == ("暂缓", "拒不签字", [])
    with pytest.raises(RecordsError, match="哪一项"):
        audits.sign(identity, False, "", "有出生证")
    audits.sign(identity, False, "年龄", "有出生证")
    audit = audits.audit_of(identity)
    assert [i.values["element"] for i in audit.issues] == ["年龄"] and len(audit.holds) == 2
    with pytest.raises(RecordsError, match="已有未办结"):
        audits.sign(identity, False, "年龄", "再举证")
    issues.resolve(audit.issues[0].identity, reviewers[0], issues.Verdict("查清无误", "出生证系补办"))
    assert audits.audit_of(identity).values["conclusion"] == "暂缓"
    audits.sign(identity, True)
    audit = audits.audit_of(identity)
    assert audit.values["conclusion"] == "通过" and all(h.values.get("released_on") for h in audit.holds)


def test_the_confirmation_form_is_printed(someone, reviewers, doubtful):
    assert confirmation(doubtful, someone.name, "组织部").startswith(b"%PDF")


def test_a_signed_review_is_never_changed(someone, reviewers):
    identity = opened(someone.pk)
    audits.review(identity, reviewers[0], all_well(someone.pk))
    row = MODELS["file_review"].objects.first()
    with pytest.raises(RecordsError, match="只能续记"), writing("edit", "想改") as act:
        act.correct(audits.register("file_review"), row.f_file_review_id, {"result": "一致"})


# -- materials ----------------------------------------------------------------------------------------------------------

SENDER, KEEPER = list(rules().intake["sender"]), list(rules().intake["keeper"])
PAPER = {
    "material": "2020年年度考核登记表",
    "category": "三 考核鉴定",
    "made_on": PartialDate(2021, 1, 15),
    "pages": 2,
}


def test_a_material_is_looked_at_twice_before_it_is_filed(someone):
    with pytest.raises(RecordsError, match="对象明确"):
        materials.deliver(someone.pk, PAPER, "联络员", SENDER[:3])
    entry = materials.deliver(someone.pk, PAPER, "联络员", SENDER)
    assert [e.identity for e in materials.dossier(someone.pk).waiting] == [entry]
    with pytest.raises(RecordsError, match="手续完备"):
        materials.file_material(entry, "档案员", KEEPER[:1], {})
    with pytest.raises(RecordsError, match="与档案认定的不符"):
        materials.file_material(entry, "档案员", KEEPER, {"birth_date": "1931-01-01"})
    born = audits.declared(someone.pk)["年龄"]
    materials.file_material(entry, "档案员", KEEPER, {"birth_date": born})
    found = materials.dossier(someone.pk)
    assert not found.waiting and [m.values["name"] for m in found.materials["三 考核鉴定"]] == [
        PAPER["material"]
    ]
    assert [e.values["kind"] for e in found.log] == ["归档", "送档"]
    with pytest.raises(RecordsError, match="已经办过"):
        materials.send_back(entry, "档案员", "晚了")


def test_what_is_sent_back_waits_until_it_comes_again(someone):
    entry = materials.deliver(someone.pk, PAPER, "联络员", SENDER)
    with pytest.raises(RecordsError, match="理由"):
        materials.send_back(entry, "档案员", "")
    back = materials.send_back(entry, "档案员", "没有盖章")
    assert [(kind["kind"], days) for _p, kind, days in materials.aging(Card.objects.all(), date.today())] == [
        ("退回", 0)
    ]
    again = materials.deliver_again(back, "联络员", SENDER)
    found = materials.dossier(someone.pk)
    assert [e.identity for e in found.waiting] == [again] and not found.returned
    assert materials.dossier(someone.pk).waiting[0].values["material"] == PAPER["material"]


def test_the_log_is_never_changed(someone):
    entry = materials.deliver(someone.pk, PAPER, "联络员", SENDER)
    with pytest.raises(RecordsError, match="只能续记"), writing("edit", "想改") as act:
        act.correct(audits.register("custody"), entry, {"carrier": "别人"})


def test_a_file_travels_with_a_slip_and_never_with_the_person(someone, reviewers):
    for to, carrier, slip, complaint in (
        ("", "张三", "1号", "接收单位"),
        ("市委组织部", someone.name, "1号", "本人自带"),
    ):
        with pytest.raises(RecordsError, match=complaint):
            materials.transfer(someone.pk, someone.name, to, carrier, slip)
    lent = materials.lend(someone.pk, "干部科", "任前审核", "档案员")
    with pytest.raises(RecordsError, match="借出未还"):
        materials.transfer(someone.pk, someone.name, "市委组织部", "张三", "1号")
    materials.give_back(lent, "档案员")
    sent = materials.transfer(someone.pk, someone.name, "市委组织部", "张三", "1号")
    assert materials.dossier(someone.pk).away.identity == sent
    with pytest.raises(RecordsError, match="已经转出"):
        materials.transfer(someone.pk, someone.name, "市委组织部", "张三", "2号")
    materials.receipt(sent, "档案员")
    arrived = materials.arrive(someone.pk, "市委组织部", "3号", "档案员", "")
    assert materials.dossier(someone.pk).away is None
    with pytest.raises(RecordsError, match="核不准不放过"):
        materials.accept(arrived, "档案员")
    signed(opened(someone.pk, "转入", stage="转入"), reviewers[:3], all_well(someone.pk))
    materials.accept(arrived, "档案员")
    assert materials.dossier(someone.pk).arriving is None


def test_each_event_asks_for_its_material_by_the_catalogue_of_its_day(someone):
    with writing("add", "测试") as act:
        rows = [
            {"assessment_id": "A-1990", "person": someone.pk, "year": 1990, "grade": "称职"},
            {"assessment_id": "A-2007", "person": someone.pk, "year": 2007, "grade": "称职"},
            {"assessment_id": "A-2008", "person": someone.pk, "year": 2008, "grade": "称职"},
        ]
        act.add(audits.register("assessment"), rows)
        act.add(audits.register("material"), [{"material_id": "M-1", "person": someone.pk, "category": "三 考核鉴定", "name": "2007年度考核登记表"}])  # fmt: skip
    about = [m.about for m in materials.dossier(someone.pk).missing if m.material == "年度考核登记表"]
    assert "2008 称职" in about and "2007 称职" not in about and "1990 称职" not in about


# -- the department's own rules -------------------------------------------------------------------------------------


def test_a_department_may_have_rules_of_its_own_and_mistakes_are_told(settings, tmp_path):
    from importlib.resources import files

    shipped = files("ganbu.records.dossier").joinpath("rules.yaml").read_text("utf-8")
    settings.HOME = tmp_path
    own = tmp_path / "dossier.yaml"
    own.write_text(shipped.replace("days: 30}", "days: 10}", 1), "utf-8")
    assert rules().route("学历", "缺失").days == 10
    for old, new, complaint in (
        ("category: 一般性问题", "category: 小问题", "小问题.*档案问题类别"),
        ("reviewers: 2", "reviewers: 0", "至少一人"),
        ("schemes:", "scheme:", "读不懂"),
        ("register: award", "register: medal", "medal"),
    ):
        own.write_text(shipped.replace(old, new), "utf-8")
        import os

        os.utime(own, ns=(1, hash(new) & 0xFFFFFF))
        with pytest.raises(PackError, match=complaint):
            rules()


# -- pages --------------------------------------------------------------------------------------------------------------


def posted(lines: dict[str, Line]) -> dict[str, str]:
    return {f"{name}.{k}": v for name, line in lines.items() for k, v in vars(line).items()}


def test_an_audit_from_page_to_page(someone, reviewers, client, sign_in):
    desk = sign_in("cadre_section")
    response = desk.post(reverse("file-open", args=[someone.pk]), {"matter": "第八批", "stage": "动议", "scheme": "两初一复", "target": "镇长"})  # fmt: skip
    address = response.headers["Location"]
    doubt = all_well(someone.pk, 党龄=Line("缺失", note="没有入党志愿书"))
    for at, account in enumerate(reviewers[:3]):
        client.force_login(account, "django.contrib.auth.backends.ModelBackend")
        page = client.get(address).content.decode()
        assert ("签署初审意见" if at < 2 else "签署复审意见") in page
        broken = client.post(address, posted(doubt | {"学历": Line("一致")}))
        assert broken.status_code == 422 and "学历：一致的，要写明" in broken.content.decode()
        assert client.post(address, posted(doubt)).status_code == 302
    page = client.get(address).content.decode()
    assert "终止" in page and "重要材料缺失" in page and "终止选任" in page and "您已签署过一轮" not in page
    assert someone.name in client.get("/files/?view=issues").content.decode()
    assert someone.name in client.get("/files/?view=closed").content.decode()
    assert client.get(f"{address}form/").headers["Content-Type"] == "application/pdf"
    issue = MODELS["file_issue"].objects.get()
    place = reverse("file-issue", args=[issue.f_file_issue_id])
    assert client.post(place, {"act": "note", "materials": "入党志愿书原件", "due_on": "2027-01-01", "owner": "所在单位", "review_on": ""}).status_code == 302  # fmt: skip
    assert client.post(place, {"act": "note", "due_on": "明年"}).status_code == 422
    assert client.post(place, {"act": "resolve", "conclusion": "材料补齐", "report": ""}).status_code == 422
    assert (
        client.post(place, {"act": "resolve", "conclusion": "材料补齐", "report": "已补"}).status_code == 302
    )
    assert "入党志愿书原件" in client.get(place).content.decode()
    assert client.get(place, {"recheck": "1"}).status_code == 200
    assert client.post(place, {"act": "reopen", "reason": "又有反映"}).status_code == 302
    assert (
        client.post(place, {"act": "resolve", "conclusion": "材料补齐", "report": "已补"}).status_code == 302
    )
    assert client.post(f"{address}sign/", {"signed": "yes"}).status_code == 302
    assert "已签字" in client.get(address).content.decode()
    assert AuditEntry.objects.filter(action="record.file").count() >= 8


def test_a_unit_hands_in_and_the_file_room_files(someone, stranger, sign_in):
    unit, room = sign_in("unit_contact"), sign_in("file_room")
    place = reverse("file-custody", args=[someone.pk])
    told = {"act": "deliver", "material": "2020年年度考核登记表", "category": "三 考核鉴定", "made_on": "2021-01-15", "pages": "2", "original": "是", "check": SENDER}  # fmt: skip
    assert unit.post(place, told).status_code == 302
    entry = MODELS["custody"].objects.get(f_kind="送档").f_custody_id
    page = unit.get(reverse("file", args=[someone.pk])).content.decode()
    assert "待归档" in page and "提出审核" not in page
    assert unit.post(place, {"act": "file", "entry": entry, "check": KEEPER}).status_code == 403
    assert room.post(reverse("file-custody", args=[stranger.pk]), {"act": "file", "entry": entry, "check": KEEPER}).status_code == 404  # fmt: skip
    assert unit.post(reverse("file-custody", args=[stranger.pk]), told).status_code == 404
    assert room.post(place, {"act": "back", "entry": entry, "reason": "没有盖章"}).status_code == 302
    assert "没有盖章" in room.get("/files/?view=materials").content.decode()
    back = MODELS["custody"].objects.get(f_kind="退回").f_custody_id
    assert unit.post(place, {"act": "again", "entry": back, "check": SENDER}).status_code == 302
    entry = MODELS["custody"].objects.filter(f_kind="送档").order_by("-row").first().f_custody_id
    assert room.post(place, {"act": "file", "entry": entry, "check": KEEPER}).status_code == 302
    assert MODELS["material"].objects.get().f_name == told["material"]
    for act, more in (
        ("lend", {"borrower": "干部科", "reason": "审核"}),
        ("arrive", {"origin": "市委组织部", "slip": "2"}),
    ):
        assert room.post(place, {"act": act, **more}).status_code == 302
    lent = MODELS["custody"].objects.get(f_kind="借阅").f_custody_id
    assert room.post(place, {"act": "return", "entry": lent}).status_code == 302
    assert (
        room.post(place, {"act": "transfer", "to": "省委组织部", "carrier": "张三", "slip": "3"}).status_code
        == 302
    )
    away = MODELS["custody"].objects.get(f_kind="转出").f_custody_id
    assert room.post(place, {"act": "receipt", "entry": away}).status_code == 302
    assert room.post(place, {"act": "nothing"}).status_code == 404
    page = room.get(reverse("file", args=[someone.pk])).content.decode()
    assert "2020年年度考核登记表" in page and "借阅" in page


def test_what_is_missing_goes_to_the_unit_as_a_workbook(someone, sign_in):
    response = sign_in("file_room").get(reverse("files-missing"), {"unit": someone.node.unit})
    rows = read_sheets("missing.xlsx", b"".join(response.streaming_content))[0].rows
    assert rows[0][3] == "缺少的材料" and any(row[0] == someone.pk for row in rows[1:])
    assert sign_in("file_room").get(reverse("files-missing"), {"unit": "999999"}).status_code == 404


def test_procedural_registers_have_no_edit_page(someone, sign_in):
    room = sign_in("file_room")
    for name in ("file_audit", "file_review", "file_issue", "custody"):
        assert room.get(reverse("add", args=[someone.pk, name])).status_code == 403
    assert room.get(reverse("add", args=[someone.pk, "material"])).status_code == 200


def test_growth_tells_only_what_one_may_see(someone, sign_in, django_assert_max_num_queries):
    with acting(name="测试"), writing("add", "测试") as act:
        act.add(audits.register("sanction"), [{"sanction_id": "C-y", "person": someone.pk, "kind": "政务记过", "date": PartialDate(2020, 5, 1)}])  # fmt: skip
    place = reverse("growth", args=[someone.pk])
    assert "政务记过" in sign_in("cadre_section").get(place).content.decode()
    own = sign_in("cadre").get(place)
    assert (
        own.status_code == 200
        and "政务记过" not in own.content.decode()
        and "考核评价" in own.content.decode()
    )
    client = sign_in("leader")
    client.get(place)
    with django_assert_max_num_queries(25):
        client.get(place)


def test_declared_values_are_those_of_the_record(someone):
    row = current_row(audits.register("person"), someone.pk)
    values = row_values(audits.register("person"), row)
    assert audits.declared(someone.pk)["年龄"] == plain_text(values["birth_date"])
