"""A made-up district (虚构县区): deterministic from a seed, any size, no real person.

No fact is dated before the person started work or after the as-of day. Dirt that real data has, in known shares: birth
dates missing (1 %) or given only by year (1 %), appointments without kind (2 %), team (3 %) or level (0.5 %), education
missing (1 %), months between two posts that nobody explains (4 % of the people), and five awards typed ahead of their
day (`award-f…`), which no result may count.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from ganbu.errors import MisuseError
from ganbu.synthetic.careers import careers
from ganbu.synthetic.events import events
from ganbu.synthetic.units import Row, lay_out

DEFAULT_SEED, DEFAULT_DAY = 2026, date(2026, 6, 30)


def build_district(
    people: int = 1200, seed: int = DEFAULT_SEED, as_of: date = DEFAULT_DAY
) -> dict[str, list[Row]]:
    """Rows by register for a district of `people` cadres; the same arguments give the same rows.

    Raises MisuseError when there is nobody.
    """
    if people < 1:
        raise MisuseError("人数至少为 1")
    random = Random(seed)  # noqa: S311 - made-up people need no secrecy
    layout = lay_out(random, people)
    rows, lives = careers(random, layout, people, as_of)
    district = {**layout.rows, **rows, **events(random, layout.rows["unit"], lives, as_of)}
    _soil(random, district, as_of)
    return district


def _soil(random: Random, district: dict[str, list[Row]], as_of: date) -> None:
    for person in district["person"]:
        luck = random.random()
        if luck < 0.02 and not person["id_number"]:
            continue  # everybody can still be told by number or by birth
        if luck < 0.01:
            person["birth_date"] = None
        elif luck < 0.02:
            person["birth_date"] = person["birth_date"][:4]
        elif luck < 0.025:
            person["party_date"] = None
    for appointment in district["appointment"]:
        luck = random.random()
        if luck < 0.02:
            appointment["kind"] = None
        elif luck < 0.05:
            appointment["team"] = None
        elif luck < 0.055:
            appointment["level"] = None
    district["education"] = [row for row in district["education"] if random.random() > 0.01]
    future = (as_of + timedelta(days=45)).isoformat()
    for person in district["person"][:: max(1, len(district["person"]) // 5)][:5]:
        district["award"].append(
            {
                "award_id": f"award-f{person['person_id']}",
                "person": person["person_id"],
                "name": "嘉奖",
                "level": "县级",
                "date": future,
            }
        )
