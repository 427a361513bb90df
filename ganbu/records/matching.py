"""Who is who (认人): the person on record that a form is about, or nobody, or a question for the one who imports."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from ganbu.formats.issues import Issue
from ganbu.formats.text import name_key

Row = dict[str, Any]
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def valid_id_number(text: str) -> bool:
    """Whether it is a resident identity number (公民身份号码): 18 characters with the check character of GB 11643.

    >>> valid_id_number("11010519491231002X"), valid_id_number("110105194912310021")
    (True, False)
    """
    text = text.strip().upper()
    if len(text) != 18 or not text[:17].isdigit():
        return False
    return _CHECKS[sum(int(d) * w for d, w in zip(text, _WEIGHTS, strict=False)) % 11] == text[17]


@dataclass
class People:
    """The people on record, found by identity number or by name and birth."""

    rows: dict[str, Row]
    by_number: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for key, row in self.rows.items():
            self.add(key, row)

    def add(self, key: str, row: Row) -> None:
        """Make a person known."""
        self.rows[key] = row
        number = str(row.get("id_number") or "").upper()
        if number:
            self.by_number.setdefault(number, key)
        names = self.by_name[name_key(str(row.get("name") or ""))]
        if key not in names:
            names.append(key)

    def fresh_key(self, person: Row) -> str:
        """An identity for somebody new: name and month of birth, numbered when taken; never the identity number."""
        base = f"{name_key(str(person.get('name') or ''))}-{_month(person).replace('-', '')}".rstrip("-")
        key, number = base, 1
        while key in self.rows:
            number += 1
            key = f"{base}-{number}"
        return key

    def find(self, person: Row, file: str, issues: list[Issue]) -> str | None:
        """The identity of the person on record, "" for somebody new, None when it cannot be told.

        The identity number decides where both have one; else name, sex and month of birth must fit exactly one.
        """
        number = str(person.get("id_number") or "").upper()
        name = name_key(str(person.get("name") or ""))
        if number and number in self.by_number:
            key = self.by_number[number]
            held = self.rows[key]
            if name_key(str(held.get("name") or "")) != name:
                issues.append(
                    Issue(file, "姓名", "person.name_differs", f"身份证号与原记录“{held.get('name')}”相同，姓名不同，按同一人处理", str(held.get("name") or ""), str(person.get("name")))
                )  # fmt: skip
            return key
        alike = [key for key in self.by_name.get(name, ()) if self._could_be(self.rows[key], person, number)]
        exact = [key for key in alike if _month(self.rows[key]) and _month(self.rows[key]) == _month(person)]
        if len(exact) == 1:
            return exact[0]
        if not alike or (not exact and _month(person) and all(_month(self.rows[k]) for k in alike)):
            return ""
        shown = "、".join(exact or alike)
        issues.append(
            Issue(
                file, "姓名", "person.unsure",
                f"与原有人员 {shown} 同名，不能断定是不是同一人，未导入；请补身份证号，或用 --person 文件名=编号（新人写 =新）指定",
                str(person.get("name")), severity="error",
            )
        )  # fmt: skip
        return None

    @staticmethod
    def _could_be(held: Row, person: Row, number: str) -> bool:
        own = str(held.get("id_number") or "").upper()
        if own and number and own != number:
            return False
        if held.get("sex") and person.get("sex") and held["sex"] != person["sex"]:
            return False
        one, two = _month(held), _month(person)
        if one and two:
            return one == two
        years = [str(row.get("birth_date") or "")[:4] for row in (held, person)]
        return not all(years) or years[0] == years[1]


def _month(person: Row) -> str:
    text = str(person.get("birth_date") or "")[:7]
    return text if len(text) == 7 else ""
