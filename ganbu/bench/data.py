"""Personnel data of any size for benchmarks (测试数据): made inside DuckDB from hashes, the same every time."""

from __future__ import annotations

import duckdb
import pyarrow as pa

AS_OF = "2026-06-30"


def _draw(key: str, salt: str, below: int) -> str:
    return f"(hash({key} || '{salt}') % {below})::INTEGER"


def corps(people: int) -> dict[str, pa.Table]:
    """Registers of a corps: 4.5 appointments, 8.7 assessments, 1.5 awards, 0.08 sanctions for each person."""
    units = max(20, people // 50)
    con = duckdb.connect(":memory:")
    p = "i::VARCHAR"
    con.execute(f"""
        CREATE TABLE base AS SELECT i, 'p' || i AS person_id, DATE '1964-01-01' + {_draw(p, "b", 13149)} AS birth_date,
          DATE '1964-01-01' + {_draw(p, "b", 13149)} + 23 * 365 + {_draw(p, "w", 1400)} AS begins, 1 + {_draw(p, "k", 8)} AS k
        FROM range({people}) t(i)""")
    con.execute(f"""
        CREATE TABLE person AS SELECT person_id, CASE WHEN {_draw(p, "s", 100)} < 34 THEN '女' ELSE '男' END AS sex, birth_date,
          CASE WHEN {_draw(p, "m", 100)} < 80 THEN birth_date + 20 * 366 + {_draw(p, "d", 4000)} END AS party_date FROM base""")
    q = "(i || '-' || j)"
    con.execute(f"""
        CREATE TABLE appointment AS
        WITH spans AS (SELECT *, ((DATE '{AS_OF}' - begins) // k) AS span FROM base),
        rows AS (SELECT i, person_id, k, j, least(DATE '2026-06-01', begins + (span * j + {_draw(q, "o", 60)})::INTEGER) AS start_date FROM spans, range(8) r(j) WHERE j < k)
        SELECT 'a' || i || '-' || j AS appointment_id, person_id AS person, 'u' || {_draw("(i || CASE WHEN " + _draw(q, "h", 10) + " < 6 THEN '' ELSE j::VARCHAR END)", "u", units)} AS unit,
          'x' || {_draw(q, "f", 12)} AS title, ['科员', '乡科级副职', '乡科级正职', '县处级副职', '县处级正职'][1 + least(4, (j * (1 + {_draw(p, "r", 3)})) // 3)::INTEGER] AS level,
          {_draw(q, "g", 4)} = 0 AS grassroots, {_draw(q, "l", 5)} = 0 AS leading, start_date,
          CASE WHEN j = k - 1 AND {_draw(p, "e", 20)} > 0 THEN NULL ELSE greatest(start_date, coalesce(lead(start_date) OVER (PARTITION BY i ORDER BY j), start_date + 200)) END AS end_date
        FROM rows""")
    con.execute(f"""
        CREATE TABLE assessment AS SELECT 's' || i || '-' || y AS assessment_id, person_id AS person, y::BIGINT AS year,
          CASE WHEN {_draw("(i || '-' || y)", "g", 1000)} < 250 THEN '优秀' WHEN {_draw("(i || '-' || y)", "g", 1000)} < 950 THEN '称职'
               WHEN {_draw("(i || '-' || y)", "g", 1000)} < 985 THEN '基本称职' ELSE '不称职' END AS grade
        FROM base, range(2016, 2026) r(y) WHERE y > year(begins) AND {_draw("(i || '-' || y)", "m", 100)} < 98""")
    con.execute(f"""
        CREATE TABLE award AS SELECT 'w' || i || '-' || j AS award_id, person_id AS person, DATE '2010-01-01' + {_draw(q, "d", 6000)} AS date,
          ['县级', '市级', '省级', '国家级'][1 + {_draw(q, "l", 4)}] AS level FROM base, range(3) r(j) WHERE j < {_draw(p, "aw", 4)}""")
    con.execute(f"""
        CREATE TABLE sanction AS SELECT 'z' || i AS sanction_id, person_id AS person, DATE '2010-01-01' + {_draw(p, "zd", 6000)} AS date,
          [6, 12, 18, 24, 48][1 + {_draw(p, "zm", 5)}]::BIGINT AS months FROM base WHERE {_draw(p, "z", 100)} < 8""")
    con.execute(
        f"CREATE TABLE unit AS SELECT 'u' || i AS unit_id, 'u' || i AS name, 'r' || (i % 17) AS region, (30 + {_draw(p, 'q', 40)})::BIGINT AS headcount FROM range({units}) t(i)"
    )
    return {
        name: con.sql(f"SELECT * FROM {name}").to_arrow_table()
        for name in ("person", "appointment", "assessment", "award", "sanction", "unit")
    }
