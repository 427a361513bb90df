"""Damage as real files have it (破损): lrmx files of made-up people, so that the importer has something to prove."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

from ganbu.dates import PartialDate
from ganbu.formats.interchange import rows_to_form
from ganbu.formats.lrmx import write_lrmx
from ganbu.synthetic.units import Row

_WIDE = str.maketrans("0123456789.-", "０１２３４５６７８９．－")


def damage_resume(text: str, random: Random) -> str:
    """The résumé as somebody in a hurry would type it: each line damaged in one way or none."""
    return "\n".join(_line(line, random) for line in text.split("\n"))


def _line(line: str, random: Random) -> str:
    match random.randrange(9):
        case 0:
            return line[:18].translate(_WIDE) + line[18:]
        case 1:
            return line.replace("--", "—", 1)
        case 2:
            return re.sub(r"^(\d{4})\.0?(\d+)", r"\1年\2月", line)
        case 3:
            return line.replace("--         ", "--至今 ", 1)
        case 4:
            return re.sub(r"^(\d{4})\.(\d{2})--", r"\1\2-", line)
        case 5 if len(line) > 30:
            return line[:26] + "\n" + " " * 18 + line[26:]
    return line


def write_lrmx_folder(district: dict[str, list[Row]], folder: Path, count: int, seed: int = 1) -> int:
    """Write lrmx files of the first `count` people, about half of them damaged; one in forty has a month 13."""
    random = Random(seed)  # noqa: S311 - made-up people need no secrecy
    folder.mkdir(parents=True, exist_ok=True)
    units = {row["unit_id"]: row["name"] for row in district["unit"]}
    people = district["person"][:count]
    wanted = {row["person_id"] for row in people}
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in ("appointment", "education", "assessment", "award", "family"):
        for row in district[name]:
            if row["person"] in wanted:
                dated = {
                    k: PartialDate.parse(v) if k.endswith("_date") or (k == "date" and v) else v
                    for k, v in row.items()
                    if v is not None
                }
                grouped.setdefault(row["person"], {}).setdefault(name, []).append(dated)
    for at, person in enumerate(people):
        form = rows_to_form(
            {k: v for k, v in person.items() if v is not None}, grouped.get(person["person_id"], {}), units
        )
        if random.random() < 0.5:
            form.resume = damage_resume(form.resume, random)
        if at % 40 == 39:
            form.work_start = form.work_start[:4] + "13"
        (folder / f"{at + 1:04}{form.name}.lrmx").write_bytes(write_lrmx(form))
    return len(people)
