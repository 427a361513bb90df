"""Every engine gives the same cells: on the shipped scenarios, and on records nobody thought of."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu import Records, load_pack
from ganbu.engine import scenario
from ganbu.engine.policy import shipped_packs
from ganbu.engine.run import Store, evaluate
from ganbu.engine.tree import Aggregate, Row
from ganbu.errors import MisuseError

# Compared, not counted: what they run is covered by the tests that say what it should give.
pytestmark = pytest.mark.no_cover

PACKS = dict(shipped_packs())
AS_OF = date(2024, 2, 29)
ENGINES = ("kernel", "duckdb")

EXPRESSIONS = """
count(任职) | count(任职, 职务层次 >= '乡科级正职') | any(任职, 免职时间 is missing) | every(年度考核, 等次 = '优秀')
sum(年度考核, 得分) | avg(年度考核, 得分) | min(年度考核, 得分, 等次 != '不称职') | max(年度考核, 年度) | distinct(任职, 职务名称)
max(任职, 职务层次, 免职时间 is missing) | min(任职, 任职时间) | share(年度考核, 等次 = '优秀', of:年度 > 2018)
top_sum(年度考核, 得分, n:2) | top_avg(年度考核, 得分, n:3) | count(年度考核, last:3 年) | count(奖励, last:5 年)
count(年度考核, 等次 = '优秀', latest:2) | streak(年度考核, 等次 = '优秀') | streak(年度考核, 等次 in ('优秀', '称职'), gap:skip)
run(年度考核, 等次 = '优秀') | run(年度考核, 等次 = '优秀', gap:skip) | streak(年度考核, 等次 = '优秀', to:考核年)
held(任职) | held(任职, 是否基层 is yes) | held(任职, per:row) | full_years(任职, 职务层次 = '乡科级正职') | full_years(任职, per:row)
clock(任职.职务名称) | clock(任职.职务层次, gap:40) | clock(任职.职务名称, mode:cumulative) | clock(任职.职务名称, of:latest)
years(since(任职.机构)) | last(任职).得 | last(任职, 免职时间 is missing).机构.类别 = '乡镇' | first(任职, by:免职时间).任职时间 > 2015-01-01
years(出生日期) | months(出生日期, 入党时间) | days(出生日期) | years(入党时间, 出生日期) | workdays(2024-01-15, 2024-02-19)
add_months(出生日期, 1) > 入党时间 | year(出生日期 + 18 年) | month(出生日期) * 3 / 7 | day(出生日期) | date(2020, 2, 29) < 入党时间
round(得分和 / 考核数, 2) | round(得分和 / 考核数, 1, mode:half_even) | floor(得分和 / 7) | ceil(0 - 得分和 / 7) | abs(得分和 - 200)
round((得分和 - 250) / 3, 1, mode:down) | round((得分和 - 250) / 3, 1, mode:up) | or_else(得分和 / 考核数, 0) | cap(得分和, 150)
least(得分和 / 考核数, 年龄) | greatest(得分和, 年龄) | between(年龄, 30, 45) | about(年龄, 40, tolerance:3) | 得分和 / 考核数 > 1/3
if(性别 = '女', 55, 60) - 年龄 | case(年龄 > 50, 1, 年龄 > 40, 2, 3) | {优秀: 3, 称职: 2, 其他: 0}[last(年度考核).等次]
place(得分和) | place(得分和, in:性别, ties:dense) | place(得分和 / 考核数, order:asc, among:年龄 > 30) | size(in:性别)
total(得分和, in:性别) | mean(得分和) | lowest(年龄, among:性别 = '女') | highest(年龄)
count(任职, 任职时间 > 本人.入党时间) | sum(任职, years(本人.出生日期, 任职时间)) | any(奖励, 批准日期 > add_years(本人.出生日期, 30))
count(任职, 机构.类别 = '乡镇') | sum(任职, 机构.人数) | 姓名 含 '甲' | 性别 is missing or 入党时间 is missing | not (年龄 > 40) and 党员
"""


def _text() -> str:
    lines = [part.strip() for line in EXPRESSIONS.strip().splitlines() for part in line.split(" | ")]
    facts = {f"事实{at}": text for at, text in enumerate(line for line in lines if ".得" not in line)}
    body = "\n".join(f'  {name}: "{text}"' for name, text in facts.items())
    return f"""
policy: 全部函数
kind: eligibility
facts:
  得分和: sum(年度考核, 得分)
  考核数: count(年度考核)
  党员: 入党时间 is not missing
{body}
define: {{机构: {{人数: count(任职, 免职时间 is missing)}}}}
require: {{年满三十: 年龄 >= 30, 有任职: 考核数 >= 1}}
show: [{", ".join(facts)}]
---
policy: 排名
kind: rank
value: 全部函数.得分和
groups: [性别]
shares: {{优秀: 20%, 称职: rest}}
edge: include
automatic: {{优秀: {{when: "any(奖励, 级别 = '省级')", counts: 否}}}}
---
policy: 有序
kind: rank
value: 全部函数.得分和
then: [{{value: 年龄, order: asc}}]
ties: row
counts: {{红榜: 1}}
---
policy: 限制
kind: consequence
subject: 处分处理
effects: {{不得提拔: {{when: "种类 != '政务警告'", from: 生效日期, until: "add_months(生效日期, 影响期月数)"}}}}
---
policy: 受限
kind: alert
levels: {{限制: {{when: "any(限制, 生效中)"}}, 曾限制: {{when: "count(限制) >= 1"}}}}
---
policy: 单位指数
kind: index
subject: 机构
define: {{机构: {{均龄: "avg(任职, years(人员.出生日期), 免职时间 is missing)", 人数: count(任职, 免职时间 is missing)}}}}
indicators:
  均龄: {{value: 均龄, weight: 50%, direction: down, standardise: zscore}}
  人数: {{value: 人数, weight: 50%, standardise: minmax}}
round: 4
"""


def _maybe(strategy):
    return st.one_of(st.none(), strategy)


DAYS = st.one_of(
    st.dates(date(1960, 1, 1), date(2024, 6, 30)),
    st.sampled_from(
        [date(2020, 2, 29), date(2024, 2, 29), date(2023, 2, 28), date(2014, 2, 28), date(2000, 1, 31)]
    ),
)
PEOPLE = ["甲", "乙", "丙", "丁"]
UNITS = ["某局", "某镇"]


@st.composite
def records(draw) -> dict[str, list[dict[str, object]]]:
    """Records of up to four people: some fields missing, spans that overlap, equal scores, days that matter."""
    people = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True))
    who = st.sampled_from([*people, None])
    rows: dict[str, list[dict[str, object]]] = {
        "person": [
            {
                "person_id": name, "name": draw(st.sampled_from(["甲某", "乙某"])), "sex": draw(_maybe(st.sampled_from(["男", "女"]))),
                "birth_date": draw(_maybe(DAYS)), "party_date": draw(_maybe(DAYS)),
            }
            for name in people
        ],
        "unit": [{"unit_id": "某局", "category": "县级机关"}, {"unit_id": "某镇", "category": draw(_maybe(st.just("乡镇")))}],
    }  # fmt: skip
    spans = draw(st.lists(st.tuples(DAYS, st.integers(0, 3000)), max_size=7))
    rows["appointment"] = [
        {
            "person": draw(who), "unit": draw(_maybe(st.sampled_from([*UNITS, "不存在"]))), "title": draw(_maybe(st.sampled_from(["局长", "科员"]))),
            "level": draw(_maybe(st.sampled_from(["科员", "乡科级副职", "乡科级正职"]))), "grassroots": draw(_maybe(st.booleans())),
            "start_date": draw(_maybe(st.just(start))), "end_date": draw(_maybe(st.just(start + timedelta(days=length)))),
        }
        for start, length in spans
    ]  # fmt: skip
    years = draw(st.lists(st.tuples(who, st.integers(2016, 2024)), max_size=9, unique=True))
    rows["assessment"] = [
        {
            "person": name, "year": year, "grade": draw(_maybe(st.sampled_from(["优秀", "称职", "基本称职", "不称职"]))),
            "score": draw(_maybe(st.sampled_from(["90", "90.5", "88.25", "0"]))),
        }
        for name, year in years
    ]  # fmt: skip
    rows["award"] = [
        {
            "person": draw(who),
            "date": draw(_maybe(DAYS)),
            "level": draw(_maybe(st.sampled_from(["省级", "市级"]))),
        }
        for _ in range(draw(st.integers(0, 3)))
    ]
    rows["sanction"] = [
        {
            "person": draw(who), "kind": draw(_maybe(st.sampled_from(["政务警告", "政务记过"]))),
            "date": draw(_maybe(DAYS)), "months": draw(_maybe(st.integers(1, 48))),
        }
        for _ in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    return {
        name: [{k: v for k, v in row.items() if v is not None} for row in items]
        for name, items in rows.items()
    }


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    (folder / "pack.yaml").write_text(_text(), "utf-8")
    return load_pack(folder)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(rows=records())
def test_random_records_give_the_same_cells_in_every_engine(everything, rows):
    store = Store(Records.from_rows(rows))
    one, *others = (evaluate(everything, store, AS_OF, engine=engine) for engine in ENGINES)
    for policy in one.names:
        expected = one.rows(policy)
        for other in others:
            assert other.rows(policy) == expected, policy


@pytest.mark.parametrize("name", PACKS)
def test_shipped_scenarios_give_the_same_cells_in_every_engine(name, monkeypatch):
    def everywhere(*args, **options):
        one = evaluate(*args, **options)
        try:
            other = evaluate(*args, **options, engine="duckdb")
        except MisuseError as error:  # it says so where it cannot be exact; then there is nothing to compare
            assert "比值" in str(error)
            return one
        for policy in one.names:
            assert other.rows(policy) == one.rows(policy), policy
        return one

    monkeypatch.setattr(scenario, "evaluate", everywhere)
    for body in load_pack(PACKS[name]).scenarios:
        assert scenario.run_scenario(load_pack(PACKS[name]), body).failures == []


def test_people_with_hundreds_of_entries_and_people_with_none(everything):
    """No engine minds how many entries somebody has, nor what identities look like."""
    rows: dict[str, list[dict[str, object]]] = {
        "person": [
            {"person_id": key, "name": f"{key}某", "sex": "女", "birth_date": date(1970, 1, 1)}
            for key in ("999999999999", "空", "甲/乙", "Z")
        ],
        "unit": [{"unit_id": "某镇", "category": "乡镇"}],
        "appointment": [
            {
                "person": "999999999999", "unit": "某镇", "title": f"职务{at % 37}", "level": "科员", "grassroots": at % 3 == 0,
                "start_date": date(1990, 1, 1) + timedelta(days=20 * at), "end_date": date(1990, 1, 1) + timedelta(days=20 * at + at % 50),
            }
            for at in range(600)
        ],
        "assessment": [{"person": "甲/乙", "year": 1800 + at, "grade": "优秀" if at % 7 else "称职", "score": "90.5"} for at in range(220)],
        "award": [{"person": "Z", "date": date(2023, 1, 1), "level": "省级"} for _ in range(300)],
    }  # fmt: skip
    store = Store(Records.from_rows(rows))
    one, *others = (evaluate(everything, store, AS_OF, engine=engine) for engine in ENGINES)
    for policy in one.names:
        for other in others:
            assert other.rows(policy) == one.rows(policy), policy


def test_the_records_behind_a_number_are_the_same_in_sql(pack):
    made = pack(
        "policy: 甲\nkind: score\ncomponents: {优秀: \"count(年度考核, 等次 = '优秀' and 年度 > 基准年 - 5)\", 任职: count(任职)}\n"
    )
    rows = {
        "person": [{"person_id": "p"}, {"person_id": "q"}], "appointment": [{"appointment_id": f"a{at}", "person": "p", "start_date": date(2000 + at, 1, 1)} for at in (3, 1, 2)],
        "assessment": [{"assessment_id": f"s{at}", "person": who, "year": 2019 + at, **({"grade": grade} if grade else {})} for at, (who, grade) in enumerate([("p", "优秀"), ("p", ""), ("q", "优秀"), ("p", "称职")])],
    }  # fmt: skip
    store = Store(Records.from_rows(rows))
    told = []
    for engine in ENGINES:
        run = evaluate(made, store, AS_OF, engine=engine)
        found = {}
        for (register, name), definition in run.evaluator.program.definitions.items():
            if isinstance(definition, Aggregate) and register == "person":
                found[name] = run.computed.behind(definition, register, Row(register), "p", ["person"], 2)
        told.append(found)
        run.close()
    assert told[0] == told[1]
    behind = {tuple(row["__id"] for row in rows) for rows in told[0].values()}
    assert ("s1",) in behind and ("a1", "a2") in behind, "those that count and those that may, in their order"
