"""Families (虚构家庭): nobody born after the as-of day, nobody a parent before fifteen, mostly the father's surname."""

from __future__ import annotations

from datetime import date
from random import Random

from ganbu.dates import add_months, full_months
from ganbu.synthetic.careers import Life, a_day, month
from ganbu.synthetic.names import child_surname, person_name
from ganbu.synthetic.recorder import Recorder

YOUNGEST_PARENT = 12 * 22


def family(random: Random, record: Recorder, life: Life, as_of: date) -> None:
    """Spouse, children, father and mother, in the order of the form."""
    age = life.age_on(as_of)
    married = random.random() < (0.03 if age < 25 else 0.5 if age < 30 else 0.9)
    if married:
        _spouse_and_children(random, record, life, age, as_of)
    for relation, sex, least in (("父亲", "男", 22), ("母亲", "女", 21)):
        born = add_months(life.birth, -12 * random.randint(least, 32) - random.randint(0, 11))
        # A daughter or son who bears the mother's surname is as rare here as among the children below.
        own = relation == "父亲" and random.random() < 0.97
        name = person_name(random, sex, life.name[0] if own else "")
        record.add(
            "family", person=life.key, relation=relation, name=name, birth_date=month(born), political_status="群众", work=_old_age(random, born, as_of)
        )  # fmt: skip


def _spouse_and_children(random: Random, record: Recorder, life: Life, age: int, as_of: date) -> None:
    male = life.sex == "男"
    relation, sex = ("妻子", "女") if male else ("丈夫", "男")
    born = min(add_months(life.birth, random.randint(-36, 36)), add_months(as_of, -YOUNGEST_PARENT))
    spouse = person_name(random, sex)
    status, work = random.choices(["群众", "中共党员"], [7, 3])[0], random.choice(["某公司职工", "某学校教师", "某医院护士", "个体经营"])  # fmt: skip
    record.add(
        "family", person=life.key, relation=relation, name=spouse, birth_date=month(born), political_status=status, work=work
    )  # fmt: skip
    father, mother = (life.name, spouse) if male else (spouse, life.name)
    surname = child_surname(random, father, mother)
    day = add_months(max(life.birth, born), YOUNGEST_PARENT + random.randint(18, 130))
    for _ in range(0 if age < 26 or random.random() < 0.06 else random.choices([1, 2], [8, 2])[0]):
        if day > add_months(as_of, -1):
            break
        sex = random.choice(["男", "女"])
        years = full_months(day, as_of) // 12
        record.add(
            "family", person=life.key, relation="子" if sex == "男" else "女", name=person_name(random, sex, surname), birth_date=month(day),
            political_status="共青团员" if 16 <= years < 26 and random.random() < 0.6 else "群众", work=_young_age(years),
        )  # fmt: skip
        day = add_months(day, random.randint(18, 84))


def _young_age(years: int) -> str:
    return "学龄前" if years < 6 else "学生" if years < 23 else "某公司职工"


def _old_age(random: Random, born: date, as_of: date) -> str:
    years = full_months(born, as_of) // 12
    work = random.choice(["某村村民", "某厂职工", "某学校教师"])
    if years > 70 and random.random() < (years - 65) / 60:
        return f"{work}（已去世）"
    return f"{work}（已退休）" if years >= 60 and work != "某村村民" else work


def relatives(random: Random, record: Recorder, lives: list[Life], as_of: date) -> None:
    """A few relatives among the cadres, some of them in one unit, so that avoidance has something to find.

    A kinship between cadres begins for the record when the second of them starts work.
    """
    by_unit: dict[str, list[Life]] = {}
    for life in lives:
        by_unit.setdefault(life.seat.unit, []).append(life)
    units = list(by_unit.values())
    for _ in range(max(1, len(lives) // 100)):
        one, other = random.choice(lives), random.choice(lives)
        if random.random() < 0.4:
            same = random.choice(units)
            one, other = random.choice(same), random.choice(same)
        if one is other:
            continue
        path, link = random.choice([("S", "婚姻"), ("B", "血亲"), ("P.B.C", "血亲"), ("C.S.P", "姻亲")])
        if path == "S" and one.sex == other.sex:
            path, link = "P.B.C", "血亲"
        since = max(one.work, other.work)
        if path == "S":
            since = a_day(random, since, as_of)
        record.add("kin", person=one.key, relative=other.key, path=path, link=link, since=since)
