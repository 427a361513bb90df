"""Bands (分档): thresholds over a number, checked to cover the whole line."""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from fractions import Fraction

from ganbu.engine.source import Mapping, place_of
from ganbu.engine.tree import BOOL, Node, Op, both, choose, number, text
from ganbu.errors import PackError

_EDGE = re.compile(
    r"^\s*(>=|<=|>|<|=|≥|≤|不少于|不低于|达到|不超过|超过|高于|低于|不满|不足|小于|大于)\s*(-?\d+(?:\.\d+)?)(%?)\s*$"
)
_SIGNS = {
    "≥": ">=",
    "不少于": ">=",
    "不低于": ">=",
    "达到": ">=",
    "≤": "<=",
    "不超过": "<=",
    "超过": ">",
    "高于": ">",
    "大于": ">",
    "低于": "<",
    "不满": "<",
    "不足": "<",
    "小于": "<",
}
Edge = tuple[str, Fraction]


def read_bands(section: AnyMapping[str, object]) -> list[tuple[str, list[Edge] | None]]:
    """The bands in order; `else` gives None. Raises PackError on a hole or a band that cannot be reached."""
    bands: list[tuple[str, list[Edge] | None]] = []
    for name, value in section.items():
        place = section.at(name) if isinstance(section, Mapping) else place_of(value)
        if value in ("else", "其余", "其他"):
            bands.append((name, None))
            continue
        edges: list[Edge] = []
        for part in re.split(r"\s+(?:and|且)\s+|[，,]", str(value)):
            match = _EDGE.match(part)
            if not match:
                raise PackError(f"分档“{name}”写作 >= 90 或 >= 80 and < 90，却是“{value}”", place)
            bound = Fraction(match[2]) / (100 if match[3] else 1)
            edges.append((_SIGNS.get(match[1], match[1]), bound))
        bands.append((name, edges))
    _check(section, bands)
    return bands


def _holds(edges: list[Edge], x: Fraction) -> bool:
    tests = {">=": x.__ge__, "<=": x.__le__, ">": x.__gt__, "<": x.__lt__, "=": x.__eq__}
    return all(tests[sign](bound) for sign, bound in edges)


def _check(section: AnyMapping[str, object], bands: list[tuple[str, list[Edge] | None]]) -> None:
    bounds = sorted({bound for _, edges in bands if edges for _, bound in edges})
    points = [bounds[0] - 1] if bounds else []
    for at, bound in enumerate(bounds):
        points += [bound, (bound + bounds[at + 1]) / 2 if at + 1 < len(bounds) else bound + 1]
    reached: set[str] = set()
    for x in points:
        band = next((name for name, edges in bands if edges is None or _holds(edges, x)), None)
        if band is None:
            place = section.place if isinstance(section, Mapping) else None
            raise PackError(f"分档没有盖住 {_shown(x)} 这样的数值（有空档）", place, "补一档，或写 else")
        reached.add(band)
    for name, edges in bands:
        if name not in reached and edges is not None:
            raise PackError(
                f"分档“{name}”永远到不了：前面的档已经盖住",
                section.at(name) if isinstance(section, Mapping) else None,
            )


def _shown(x: Fraction) -> str:
    return str(x.numerator) if x.denominator == 1 else f"{float(x):g}"


def band_of(value: Node, bands: list[tuple[str, list[Edge] | None]]) -> Node:
    """The band a value falls into."""
    branches: list[tuple[Node, Node]] = []
    default: Node = text(bands[-1][0])
    for name, edges in bands:
        if edges is None:
            default = text(name)
            break
        tests = [Op("compare", (value, number(bound)), BOOL, (sign,)) for sign, bound in edges]
        branches.append((both(*tests), text(name)))
    return choose(*branches, default=default)
