"""Selecting people by a condition (按条件选人): the rule language as a filter."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ganbu.engine.policy import Pack
from ganbu.engine.records import Records
from ganbu.engine.run import Store, evaluate
from ganbu.engine.source import Mapping, Text
from ganbu.errors import Place
from ganbu.vocabulary import Vocabulary

NAME = "筛选"


def select(
    records: Records | Store, condition: str, as_of: date, vocabulary: Vocabulary | None = None,
    known_at: str = "",
) -> list[str]:  # fmt: skip
    """The identities of the people for whom the condition is true, in the order of the record. Raises PackError."""
    place = Place("<条件>", 1, 1)
    body = Mapping(place)
    body.update({"policy": NAME, "kind": "eligibility", "require": Mapping(place)})
    body["require"]["条件"] = Text(condition, place)
    pack = Pack(NAME, NAME, Path(NAME), Mapping(place), own={NAME: body}, words=vocabulary)
    return evaluate(pack, records, as_of, [NAME], known_at=known_at).subjects(NAME, "符合")
