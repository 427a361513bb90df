"""Policies nobody wrote over records nobody kept: every engine gives the same cells, or says why it cannot."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ganbu import Records, load_pack
from ganbu.engine.policy import Pack
from ganbu.engine.run import Store, evaluate
from ganbu.errors import MisuseError, PackError
from tests.engine.test_engines_agree import AS_OF, records

# Compared, not counted: what they run is covered by the tests that say what it should give.
pytestmark = pytest.mark.no_cover

GRADES = ["优秀", "称职", "基本称职", "不称职"]


def joined(*parts):
    """One text of several drawn ones, with those between them as they stand."""
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


WHOLE = st.integers(0, 60).map(str)
DAY = st.sampled_from(["2015-01-01", "2020-02-29", "2023-12-31", "基准日"])
SIGN = st.sampled_from([" >= ", " <= ", " > ", " < ", " = ", " != "])

# Of a row: an assessment, an appointment.
GRADE = st.sampled_from(GRADES).map(lambda word: f"等次 = '{word}'")
ASSESSED = st.recursive(
    st.one_of(GRADE, joined("得分", SIGN, WHOLE), st.sampled_from(["得分 is missing", "年度 >= 2020", "等次 is not missing"])),
    lambda inner: st.one_of(joined("(", inner, " and ", inner, ")"), joined("(", inner, " or ", inner, ")"), joined("not (", inner, ")")),
    max_leaves=3,
)  # fmt: skip
HELD = st.recursive(
    st.one_of(
        st.sampled_from(["免职时间 is missing", "是否基层 is yes", "机构.类别 = '乡镇'", "职务层次 >= '乡科级副职'", "职务名称 = '局长'", "机构 is missing"]),
        joined("任职时间", SIGN, DAY),
    ),
    lambda inner: st.one_of(joined("(", inner, " and ", inner, ")"), joined("(", inner, " or ", inner, ")"), joined("not (", inner, ")")),
    max_leaves=3,
)  # fmt: skip

COUNTED = st.one_of(
    joined("count(任职, ", HELD, ")"), joined("count(年度考核, ", ASSESSED, ")"), joined("sum(年度考核, 得分, ", ASSESSED, ")"),
    joined("avg(年度考核, 得分, ", ASSESSED, ")"), joined("max(年度考核, 得分, ", ASSESSED, ")"), joined("share(年度考核, ", ASSESSED, ")"),
    joined("held(任职, ", HELD, ")"), joined("streak(年度考核, ", GRADE, ")"), joined("distinct(任职, 职务名称, ", HELD, ")"),
    joined("top_sum(年度考核, 得分, n:", st.integers(1, 3).map(str), ")"),
    joined("years(last(任职, ", HELD, ").任职时间)"), joined("years(min(任职, 任职时间, ", HELD, "))"),
)  # fmt: skip
NUMBER = st.deferred(
    lambda: st.one_of(
        COUNTED, WHOLE, st.sampled_from(["年龄", "months(入党时间)", "0.25", "1/3"]),
        joined("(", PLAIN, st.sampled_from([" + ", " - ", " * ", " / "]), PLAIN, ")"),
        joined("round(", PLAIN, " / ", PLAIN, ", ", st.sampled_from("012"), ")"), joined("abs(", PLAIN, " - ", PLAIN, ")"),
        joined("if(", YES, ", ", PLAIN, ", ", PLAIN, ")"), joined("or_else(", PLAIN, ", ", WHOLE, ")"), joined("least(", PLAIN, ", ", PLAIN, ")"),
    )
)  # fmt: skip
PLAIN = st.one_of(COUNTED, WHOLE, st.just("年龄"))
YES = st.recursive(
    st.one_of(
        joined(PLAIN, SIGN, PLAIN), joined("any(任职, ", HELD, ")"), joined("every(年度考核, ", ASSESSED, ")"),
        st.sampled_from(["性别 = '女'", "入党时间 is missing", "出生日期 < 1985-06-01", "姓名 含 '甲'"]),
    ),
    lambda inner: st.one_of(joined("(", inner, " and ", inner, ")"), joined("(", inner, " or ", inner, ")"), joined("not (", inner, ")")),
    max_leaves=4,
)  # fmt: skip


@st.composite
def policies(draw) -> str:
    """A pack: facts, a condition over them, a score in bands, a ranking in groups."""
    facts = draw(st.lists(NUMBER, min_size=2, max_size=4))
    told = "\n".join(f'  f{at}: "{text}"' for at, text in enumerate(facts))
    ties = draw(st.sampled_from(["min", "dense", "row"]))
    groups = draw(st.sampled_from(["[]", "[性别]"]))
    return f"""
policy: 条件
kind: eligibility
facts:
{told}
require: {{甲: "{draw(YES)}", 乙: "{draw(YES)}", 丙: "f0 >= f1"}}
show: [{", ".join(f"f{at}" for at in range(len(facts)))}]
---
policy: 排名
kind: rank
value: 条件.f0
groups: {groups}
ties: {ties}
shares: {{优秀: 30%, 称职: rest}}
---
policy: 灯
kind: alert
levels: {{红灯: {{when: "{draw(YES)}"}}, 黄灯: {{when: "条件.f1 > {draw(WHOLE)}"}}}}
"""


def pack_of(text: str) -> Pack:
    """A pack of a text: fixtures last longer than an example."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pack.yaml").write_text(text, "utf-8")
        return load_pack(Path(folder))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=policies(), rows=records())
def test_random_policies_give_the_same_cells_in_every_engine(text, rows):
    pack = pack_of(text)
    store = Store(Records.from_rows(rows))
    one = evaluate(pack, store, AS_OF)
    try:
        other = evaluate(pack, store, AS_OF, engine="duckdb")
        found = {policy: other.rows(policy) for policy in one.names}
    except (MisuseError, PackError) as error:  # it has no numbers beyond 128 bits, and says so
        event("duckdb: " + str(error)[:12])
        assert "比值" in str(error) or "溢出" in str(error)
        return
    event("compared")
    for policy in one.names:
        assert found[policy] == one.rows(policy), policy
