"""How this department works on files (档案工作办法): read from `rules.yaml`, or from `dossier.yaml` in the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from ganbu.errors import PackError, Place
from ganbu.vocabulary import load_vocabulary

OWN = "dossier.yaml"


@dataclass(frozen=True)
class Round:
    """A round of an audit (轮次): its name and how many sign it."""

    name: str
    reviewers: int


@dataclass(frozen=True)
class Element:
    """Something an audit looks at (要素)."""

    name: str
    must: bool = False

    @property
    def field(self) -> str:
        """The field of the person register that it settles; empty where it settles none."""
        fields = load_vocabulary().registers["person"].fields.values()
        return next((item.name for item in fields if item.element == self.name), "")

    @property
    def dated(self) -> bool:
        """Whether what is declared is a date, which is compared as one."""
        return bool(self.field) and load_vocabulary().registers["person"].fields[self.field].kind == "date"


@dataclass(frozen=True)
class Route:
    """Where a result leads (分流): the class of the issue, what it does to the selection, who clears it by when."""

    category: str
    outcome: str
    effect: str
    owner: str
    days: int
    results: tuple[str, ...] = ()
    element: str = ""
    review_months: int = 0


@dataclass(frozen=True)
class Settled:
    """What a conclusion on an issue does (核查结论)."""

    release: bool
    result: str
    corrects: bool = False


@dataclass(frozen=True)
class Required:
    """A material that must be in the file (应归档材料), for each row of a register or always."""

    material: str
    categories: tuple[str, ...]
    names: tuple[str, ...]
    register: str = ""
    months: int = 0
    year: bool = False
    since: date = date.min
    full_time: bool = False
    party: bool = False


@dataclass(frozen=True)
class Rules:
    """All of it."""

    schemes: Mapping[str, tuple[Round, ...]]
    recuse: tuple[str, ...]
    elements: Mapping[str, Element]
    routing: tuple[Route, ...]
    refusal: Route
    settled: Mapping[str, Settled]
    intake: Mapping[str, tuple[str, ...]]
    required: tuple[Required, ...]
    always: tuple[Required, ...]
    growth: Mapping[str, tuple[str, ...]]

    def route(self, element: str, result: str) -> Route | None:
        """Where a result of an element leads; None when all is well."""
        return next((r for r in self.routing if result in r.results and r.element in ("", element)), None)


def rules() -> Rules:
    """The department's own rules, else those shipped. Raises PackError with file and place."""
    own = Path(settings.HOME) / OWN
    return _read(own, own.stat().st_mtime_ns) if own.is_file() else _read(None, 0)


@lru_cache(maxsize=2)
def _read(path: Path | None, _changed: int) -> Rules:
    source = path or files("ganbu.records.dossier").joinpath("rules.yaml")
    place = Place(str(path or "rules.yaml"))
    try:
        told = yaml.safe_load(source.read_text("utf-8"))
        return _checked(_rules(told), place)
    except (KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError) as error:
        raise PackError(f"档案工作办法读不懂：{error}", place) from error


def _rules(told: Any) -> Rules:
    return Rules(
        schemes={
            name: tuple(Round(r["round"], int(r["reviewers"])) for r in of)
            for name, of in told["schemes"].items()
        },
        recuse=tuple(told["recuse"]),
        elements={name: Element(name, **of) for name, of in told["elements"].items()},
        routing=tuple(_route(of) for of in told["routing"]),
        refusal=_route(told["refusal"]),
        settled={name: Settled(**of) for name, of in told["settled"].items()},
        intake={name: tuple(of) for name, of in told["intake"].items()},
        required=tuple(_required(of) for of in told["required"]),
        always=tuple(_required(of) for of in told["always"]),
        growth={name: tuple(of) for name, of in told["growth"].items()},
    )


def _route(of: dict[str, Any]) -> Route:
    return Route(**{**of, "results": tuple(of.get("results", ()))})


def _required(of: dict[str, Any]) -> Required:
    since = of.pop("from", date.min)
    return Required(**{**of, "categories": tuple(of["categories"]), "names": tuple(of["names"]), "since": since})  # fmt: skip


def _checked(found: Rules, place: Place) -> Rules:
    """Every word of the vocabulary that the rules use is one."""
    words = load_vocabulary()
    routes = (*found.routing, found.refusal)
    required = (*found.required, *found.always)
    used = [
        ("file_element", list(found.elements)),
        ("file_result", [r for route in routes for r in route.results]),
        ("file_result", [s.result for s in found.settled.values()]),
        ("file_issue_class", [route.category for route in routes]),
        ("file_conclusion", [route.outcome for route in routes]),
        ("file_issue_conclusion", list(found.settled)),
        ("material_class", [c for one in required for c in one.categories]),
    ]
    for table, values in used:
        if unknown := [v for v in values if v not in words.codes[table].names()]:
            raise PackError(f"“{unknown[0]}”不在{words.codes[table].label}里", place)
    if lost := [one.register for one in found.required if one.register not in words.registers]:
        raise PackError(f"没有登记表“{lost[0]}”", place)
    if empty := [name for name, of in found.schemes.items() if not of or any(r.reviewers < 1 for r in of)]:
        raise PackError(f"审核办法“{empty[0]}”至少要有一轮，每轮至少一人", place)
    return found
