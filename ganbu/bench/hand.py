"""The forty reference rules as an engineer would write them for DuckDB by hand (手写对照)."""

from __future__ import annotations

D = "DATE '2026-06-30'"


def _years(day: str) -> str:
    # 2026-06-30 is the last day of its month: a 31st has its anniversary then too.
    return f"((20260631 - year({day}) * 10000 - month({day}) * 100 - day({day})) // 10000)"


def _months(start: str, end: str) -> str:
    short = f"CASE WHEN day({end}) < day({start}) AND day({end}) < day(last_day({end})) THEN 1 ELSE 0 END"
    return f"((year({end}) - year({start})) * 12 + month({end}) - month({start}) - {short})"


FACTS = f"""
CREATE OR REPLACE TEMP TABLE hand_facts AS
WITH ap AS (SELECT person, arg_max(CASE WHEN open THEN struct_pack(u := unit, t := title, l := level, s := start_date) END, start_date) FILTER (WHERE open) AS c,
    CAST(sum(CASE WHEN grassroots THEN {_months("start_date", f"least(coalesce(e, {D}), {D})")} ELSE 0 END) AS BIGINT) AS gm, count(DISTINCT unit) AS nu, count(DISTINCT title) AS nt
  FROM (SELECT *, CASE WHEN end_date > {D} THEN NULL ELSE end_date END AS e, end_date IS NULL OR end_date > {D} AS open FROM t_appointment WHERE start_date <= {D}) GROUP BY person),
lv AS (SELECT a.person, min(a.start_date) FILTER (WHERE a.level = ap.c.l) AS ls FROM t_appointment a JOIN ap ON a.person = ap.person WHERE a.start_date <= {D} GROUP BY a.person),
gr AS (SELECT person, count(*) FILTER (WHERE grade = '优秀' AND year > 2022) AS e3, count(*) FILTER (WHERE grade IN ('优秀', '称职') AND year > 2022) AS g3,
    count(*) FILTER (WHERE grade IN ('基本称职', '不称职')) AS b5, count(*) AS n5, count(*) FILTER (WHERE grade = '优秀') AS e5,
    CAST(sum(CASE grade WHEN '优秀' THEN 3 WHEN '称职' THEN 2 WHEN '基本称职' THEN 1 ELSE 0 END) AS BIGINT) AS p5
  FROM t_assessment WHERE year > 2020 AND year <= 2025 GROUP BY person),
aw AS (SELECT person, count(*) FILTER (WHERE level IN ('省级', '国家级')) AS hi,
    CAST(sum(CASE level WHEN '国家级' THEN 5 WHEN '省级' THEN 3 WHEN '市级' THEN 2 ELSE 1 END) FILTER (WHERE date > DATE '2016-06-30') AS BIGINT) AS pts
  FROM t_award WHERE date <= {D} GROUP BY person),
sa AS (SELECT person, count(*) AS n, bool_or(CAST(date + to_months(CAST(months AS INTEGER)) AS DATE) > {D}) AS live FROM t_sanction WHERE date <= {D} GROUP BY person)
SELECT p.person_id, p.sex, {_years("p.birth_date")} AS age, {_years("p.party_date")} AS party, c.u AS cu, c.t AS ct, c.l AS cl, c.s AS cs,
  {_years("c.s")} AS py, {_months("c.s", D)} AS pm, {_years("ls")} AS ly, coalesce(gm, 0) AS gm, coalesce(nu, 0) AS nu, coalesce(nt, 0) AS nt,
  coalesce(e3, 0) AS e3, coalesce(g3, 0) AS g3, coalesce(b5, 0) AS b5, coalesce(n5, 0) AS n5, coalesce(e5, 0) AS e5, coalesce(p5, 0) AS p5,
  coalesce(hi, 0) AS hi, coalesce(pts, 0) AS pts, coalesce(sa.n, 0) AS ns, coalesce(live, FALSE) AS live
FROM t_person p LEFT JOIN ap ON p.person_id = ap.person LEFT JOIN lv ON p.person_id = lv.person LEFT JOIN gr ON p.person_id = gr.person
  LEFT JOIN aw ON p.person_id = aw.person LEFT JOIN sa ON p.person_id = sa.person"""
CONDITIONS = {
    "c01": "py >= 10", "c02": "ct IN ('x1', 'x2') AND py >= 5", "c03": "age <= 35 AND gm >= 24", "c04": "e3 = 3", "c05": "live",
    "c06": "cl IN ('乡科级副职', '县处级副职') AND ly >= 2 AND NOT live", "c07": "cl = '乡科级正职' AND ly >= 3 AND NOT live AND gm >= 24",
    "c08": "b5 = 0 AND n5 >= 1", "c09": "g3 >= 3", "c10": "age + 1 >= CASE WHEN sex = '女' THEN 55 ELSE 60 END",
    "c11": "(cl IN ('科员', '乡科级副职') AND age > 45) OR (cl = '乡科级正职' AND age > 50)", "c12": "party >= 3", "c13": "nt >= 2", "c14": "nu >= 3",
    "c15": "ly >= 8 AND age < 50", "c16": "ns = 0 AND hi >= 1", "c17": "pm = 11", "c18": "e5 >= 2 AND NOT live", "c19": "sex = '女' AND age <= 40",
    "c20": "cl IN ('乡科级副职', '县处级副职') AND ly >= 2 AND NOT live AND b5 = 0 AND g3 >= 3 AND age <= 55",
}  # fmt: skip
# Points as whole numbers: tenths for most, ten-thousandths for the mean, so that nothing is a floating-point number.
SCORES = {
    "s01": "least(400, gm)", "s02": "CASE WHEN n5 > 0 THEN (2 * p5 * 10000 + n5) // (2 * n5) ELSE 0 END", "s03": "least(10, pts)", "s04": "-2 * ns - CASE WHEN live THEN 5 ELSE 0 END",
    "s05": "2 * nu", "s06": "least(50, 5 * (gm // 12))", "s07": "least(80, 10 * nu + 5 * nt)", "s08": "greatest(0, 100 - 5 * abs(age - 42))", "s09": "least(120, 15 * coalesce(ly, 0))",
}  # fmt: skip
SCALES = {"s01": 1, "s02": 4, "s03": 0, "s04": 0, "s05": 0, "s06": 1, "s07": 1, "s08": 1, "s09": 1, "s10": 6}
RESULTS = (
    "CREATE OR REPLACE TEMP TABLE hand_res AS SELECT *, 3000 * s01 + 20 * s02 + 100000 * s03 + 100000 * s04 + 50000 * s05 + 10000 * s06 + 5000 * s07 + 3000 * s08 + 5000 * s09 AS s10 FROM (SELECT person_id, cu, cl, sex, "
    + ", ".join(f"({text}) AS {name}" for name, text in CONDITIONS.items()) + ", " + ", ".join(f"{text} AS {name}" for name, text in SCORES.items()) + " FROM hand_facts)"
)  # fmt: skip
_RANKS = [
    ("r1", "cu", "s10"),
    ("r2", "cl", "s01"),
    ("r3", "cu, cl", "s02"),
    ("r4", "region, cl", "s10"),
    ("r5", "cu, sex", "s09"),
]
RANKS = (
    "CREATE OR REPLACE TEMP TABLE hand_rank AS SELECT person_id, "
    + ", ".join(f"CASE WHEN {' OR '.join(f'{part} IS NULL' for part in g.split(', '))} THEN '不能判定' WHEN {r} <= (3 * n{r}) // 10 THEN 'A' WHEN {r} <= (3 * n{r}) // 10 + (4 * n{r}) // 10 THEN 'B' ELSE 'C' END AS {r}" for r, g, _ in _RANKS)
    + " FROM (SELECT person_id, " + ", ".join(f"row_number() OVER (PARTITION BY {g} ORDER BY {v} DESC, person_id) AS {r}, count(*) OVER (PARTITION BY {g}) AS n{r}" for r, g, v in _RANKS) + ", cu, cl, sex, region"
    + " FROM hand_res LEFT JOIN t_unit u ON u.unit_id = cu)"
)  # fmt: skip
UNITS = f"""
CREATE OR REPLACE TEMP TABLE hand_unit AS
WITH b AS (SELECT a.unit, count(*) FILTER (WHERE open) AS n, CAST(sum({_years("p.birth_date")}) FILTER (WHERE open) AS BIGINT) AS ages, count(*) FILTER (WHERE open AND {_years("p.birth_date")} >= 50) AS old,
    count(*) FILTER (WHERE open AND {_years("p.birth_date")} <= 35) AS young, count(*) FILTER (WHERE open AND p.sex = '女') AS women, bool_or(open AND {_years("p.birth_date")} <= 40) AS y40,
    count(*) FILTER (WHERE open AND grassroots) AS grass, bool_or(open AND a."leading") AS lead
  FROM (SELECT *, end_date IS NULL OR end_date > {D} AS open FROM t_appointment WHERE start_date <= {D}) a JOIN t_person p ON p.person_id = a.person GROUP BY a.unit)
SELECT u.unit_id, n, headcount, ages, n * 1.0 / headcount AS x1, ages * 1.0 / n AS x2, old * 1.0 / n - young * 1.0 / n AS u2, women * 1.0 / n AS u3,
  ages <= 48 * n AND women > 0 AND y40 AS t1, grass * 3 >= n AND lead AS t2 FROM t_unit u LEFT JOIN b ON b.unit = u.unit_id"""
INDEX = """
CREATE OR REPLACE TEMP TABLE hand_index AS SELECT *, 0.5 * (x1 - avg(x1) OVER ()) / stddev_pop(x1) OVER () - 0.5 * (x2 - avg(x2) OVER ()) / stddev_pop(x2) OVER () AS u1 FROM hand_unit"""
STATEMENTS = [FACTS, RESULTS, RANKS, UNITS, INDEX]
