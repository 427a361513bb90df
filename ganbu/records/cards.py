"""Cards, seats and the tree (卡片、任职机构、机构树): derived from the record, so that lists need not read all of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Q
from pypinyin import Style, lazy_pinyin

from ganbu.access.sealing import keys
from ganbu.dates import PartialDate
from ganbu.engine.records import Records
from ganbu.formats.text import name_key
from ganbu.records.models import Card, Seat, UnitNode
from ganbu.records.snapshot import snapshot
from ganbu.records.writing import insert_rows
from ganbu.vocabulary import load_vocabulary

Row = dict[str, Any]
NEEDED = ("person", "appointment", "rank", "education")
# What a complete record has (完整度): each counts the same.
WANTED = (
    "name", "sex", "birth_date", "ethnic_group", "native_place", "birth_place", "political_status", "work_start",
    "health", "id_number", "category", "status", "management", "current_post_text", "resume",
)  # fmt: skip
WANTED_ROWS = ("appointment", "education", "assessment", "family")


def refresh(people: Iterable[str], units: bool = False) -> None:
    """Bring the cards of some people up to date; with `units` the tree too, and with it every seat."""
    people = sorted({one for one in people if one and one != "None"})
    if units:
        rebuild_tree()
    many = len(people) > 2000
    if not people:
        return
    for at in range(0, len(people), 20_000 if many else 500):
        _refresh(
            people[at : at + (20_000 if many else 500)],
            whole=many and len(people) > Card.objects.count() // 2,
        )
    count_people()


def turning(day: date) -> list[str]:
    """The people with a post or rank that begins or ends on a day, so that their cards are other than the day before."""
    from ganbu.records.models import MODELS

    found: set[str] = set()
    for name in ("appointment", "rank"):
        model: Any = MODELS[name]
        rows = model.objects.filter(superseded_at__isnull=True)
        # A week back, for days on which no worker ran.
        since, until = (day - timedelta(days=7)).isoformat(), day.isoformat()
        turned = Q(f_start_date__range=(since, until)) | Q(f_end_date__range=(since, until))
        found |= set(rows.filter(turned).values_list("f_person", flat=True))
    return sorted(found)


def rebuild_tree() -> None:
    """Make the unit tree anew; units keep their number, so that seats and addresses stay."""
    rows = {str(row["unit_id"]): row for row in snapshot(("unit",)).rows("unit")}
    today = date.today()
    rows = {
        key: row for key, row in rows.items()
        if row.get("abolished_on") is None or PartialDate.last(partial(row["abolished_on"])) > today
    }  # fmt: skip
    nodes = {node.unit: node for node in UnitNode.objects.all()}
    gone = [node.pk for key, node in nodes.items() if key not in rows]
    UnitNode.objects.filter(pk__in=gone).delete()
    fresh = [
        UnitNode(unit=key, name=str(row.get("name") or key)[:300], path="", depth=0, place=0)
        for key, row in rows.items()
        if key not in nodes
    ]
    UnitNode.objects.bulk_create(fresh, batch_size=1000)
    nodes = {node.unit: node for node in UnitNode.objects.all()}
    before = _standing(("name", "parent_id", "path", "depth", "place"), nodes.values())
    for place, (key, above) in enumerate(arranged(rows)):
        node, parent = nodes[key], nodes[above] if above else None
        node.name = str(rows[key].get("name") or key)[:300]
        node.parent, node.depth = parent, parent.depth + 1 if parent else 0
        node.path = f"{parent.path if parent else '/'}{node.pk}/"
        node.place = place
    _update(("name", "parent_id", "path", "depth", "place"), before, nodes.values())


def arranged(rows: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """Units from the top down, each with the one above it; those that are each other's parent stand at the top."""
    children: dict[str, list[str]] = defaultdict(list)
    for key, row in rows.items():
        parent = str(row.get("parent") or "")
        children[parent if parent in rows and parent != key else ""].append(key)
    seen: set[str] = set()
    for root in (*children[""], *rows):
        stack = [(root, "")]
        while stack:
            one, above = stack.pop()
            if one not in seen:
                seen.add(one)
                yield one, above
                stack += [(child, one) for child in reversed(children.get(one, []))]


def partial(value: Any) -> PartialDate:
    return value if isinstance(value, PartialDate) else PartialDate(value.year, value.month, value.day)


def count_people() -> None:
    """How many people each unit has, and with the units below it."""
    direct = dict(Card.objects.exclude(node=None).values_list("node").annotate(n=Count("pk")))
    nodes = list(UnitNode.objects.only("pk", "path", "people", "people_under"))
    under: Counter[int] = Counter()
    paths = {node.pk: node.path for node in nodes}
    for pk, number in direct.items():
        for part in paths.get(pk, "").strip("/").split("/"):
            if part:
                under[int(part)] += number
    before = _standing(("people", "people_under"), nodes)
    for node in nodes:
        node.people, node.people_under = direct.get(node.pk, 0), under[node.pk]
    _update(("people", "people_under"), before, nodes)


def _standing(names: tuple[str, ...], nodes: Iterable[UnitNode]) -> dict[int, tuple[Any, ...]]:
    return {node.pk: tuple(getattr(node, name) for name in names) for node in nodes}


def _update(names: tuple[str, ...], before: dict[int, tuple[Any, ...]], nodes: Iterable[UnitNode]) -> None:
    """Write the nodes that are otherwise than before; one prepared statement, for there may be thousands."""
    now = _standing(names, nodes)
    columns = ", ".join(f'"{name}" = %s' for name in names)
    changed = [(*values, pk) for pk, values in now.items() if values != before[pk]]
    if changed:
        with connection.cursor() as cursor:
            cursor.executemany(f'UPDATE "{UnitNode._meta.db_table}" SET {columns} WHERE id = %s', changed)


def _refresh(people: list[str], whole: bool = False) -> None:
    wanted = None if whole else people
    records = snapshot(NEEDED, wanted)
    counted = snapshot(set(WANTED_ROWS) - set(NEEDED), wanted, sealed=False)  # only who has any
    chosen = set(people)
    rows = {str(r["person_id"]): r for r in records.rows("person") if str(r["person_id"]) in chosen}
    of = {name: _by_person(records, name, chosen) for name in NEEDED[1:]}
    has = {name: _mentioned(records if name in NEEDED else counted, name) for name in WANTED_ROWS}
    nodes = {node.unit: node for node in UnitNode.objects.all()}
    for at in range(0, len(people), 500):
        Seat.objects.filter(card__in=people[at : at + 500]).delete()
        Card.objects.filter(pk__in=people[at : at + 500]).delete()
    former, today = _former_names(people if not whole else None), date.today()
    cards, seats = [], []
    for key, row in rows.items():
        card, own = card_of(key, row, of, has, nodes, former.get(key, ()), today)
        cards.append(card)
        seats += [(key, node.pk, team) for node, team in own]
    fields = list(Card._meta.concrete_fields)
    insert_rows(
        Card._meta.db_table,
        [str(f.column) for f in fields],
        [tuple(getattr(card, f.attname) for f in fields) for card in cards],
    )
    insert_rows(Seat._meta.db_table, ["card_id", "node_id", "team"], seats)


def _former_names(people: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Names that superseded rows of a person had (曾用名)."""
    from ganbu.records.models import MODELS

    model: Any = MODELS["person"]
    old = model.objects.filter(superseded_at__isnull=False)
    if people is not None:
        if len(people) > 500:
            old = old.filter(f_person_id__in=people[:0]) if not old.exists() else old
        else:
            old = old.filter(f_person_id__in=people)
    found: dict[str, tuple[str, ...]] = {}
    for key, name in old.values_list("f_person_id", "f_name").distinct():
        found[key] = (*found.get(key, ()), name or "")
    return found


def _by_person(records: Records, name: str, chosen: set[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in records.rows(name):
        key = str(row.get("person"))
        if key in chosen:
            found[key].append(row)
    return found


def _mentioned(records: Records, name: str) -> set[str]:
    table = records.tables.get(name)
    return set() if table is None else set(table["person"].to_pylist())


def card_of(
    key: str, row: Row, of: dict[str, dict[str, list[Row]]], has: Mapping[str, set[str]],
    nodes: Mapping[str, UnitNode], former: Iterable[str], day: date,
) -> tuple[Card, list[tuple[UnitNode, str]]]:  # fmt: skip
    codes = load_vocabulary().codes
    name = str(row.get("name") or key)
    syllables = spelt(name)
    posts = [post for post in of["appointment"].get(key, ()) if _holds(post, day)]
    posts.sort(key=lambda post: (post.get("main") is not True, str(post.get("start_date") or "")))
    unit = str((posts[0].get("unit") if posts else None) or row.get("statistics_unit") or "")
    node = nodes.get(unit)
    levels = codes["post_level"].order
    level = max(
        (str(p["level"]) for p in posts if p.get("level")), key=lambda w: _rank(levels, w), default=""
    )
    studies = codes["education_level"].order
    education = max((str(e["level"]) for e in of["education"].get(key, ()) if e.get("level")), key=lambda w: _rank(studies, w), default="")  # fmt: skip
    ranks = [r for r in of["rank"].get(key, ()) if _holds(r, day)]
    number = str(row.get("id_number") or "").upper()
    filled = sum(row.get(field) not in (None, "") for field in WANTED) + sum(
        key in has.get(n, ()) for n in WANTED_ROWS
    )
    text = str(row.get("current_post_text") or "") or "、".join(
        f"{nodes[str(p['unit'])].name if str(p.get('unit')) in nodes else ''}{p.get('title') or ''}"
        for p in posts
    )
    birth = row.get("birth_date")
    card = Card(
        person=key, name=name[:120], pinyin="".join(syllables)[:200], initials="".join(s[:1] for s in syllables)[:40],
        former="、".join(sorted({n for n in former if n and n != name}))[:300], sex=str(row.get("sex") or ""),
        birth=partial(birth).iso() if birth else "", ethnic_group=str(row.get("ethnic_group") or "")[:30],
        political_status=str(row.get("political_status") or "")[:30], education=education[:60], post=text,
        node=node, level=level[:60], rank=str(ranks[-1].get("rank") or "")[:60] if ranks else "",
        management=str(row.get("management") or "")[:60], status=str(row.get("status") or "")[:30],
        completeness=round(100 * filled / (len(WANTED) + len(WANTED_ROWS))),
        number_mark=keys().mark(number) if number else "", tail_mark=keys().mark(number[-4:]) if number else "",
        place=f"{node.place if node else 99_999_999:08d}-{99 - max(_rank(levels, level), 0):02d}-{'0' if any(p.get('kind') == '正职' for p in posts) else '1'}-{''.join(syllables)}"[:120],
    )  # fmt: skip
    seats = {}
    for post in posts:
        at = nodes.get(str(post.get("unit") or ""))
        if at is not None:
            seats[at.pk, str(post.get("team") or "")] = (at, str(post.get("team") or ""))
    if not seats and node is not None:
        seats[node.pk, ""] = (node, "")
    return card, list(seats.values())


# Characters read otherwise as a surname than in a text.
SURNAMES = {
    "曾": "zeng", "单": "shan", "解": "xie", "仇": "qiu", "查": "zha", "任": "ren", "区": "ou", "朴": "piao", "盖": "ge", "覃": "qin",
    "翟": "zhai", "员": "yun", "缪": "miao", "种": "chong", "逄": "pang", "乐": "yue", "冼": "xian", "隗": "wei", "折": "she", "牟": "mou",
    "召": "shao", "繁": "po", "秘": "bi", "佴": "nai", "应": "ying", "华": "hua", "宁": "ning", "卜": "bu", "晟": "cheng", "重": "chong",
}  # fmt: skip
DOUBLE = {
    "尉迟": ["yu", "chi"],
    "万俟": ["mo", "qi"],
    "长孙": ["zhang", "sun"],
    "澹台": ["tan", "tai"],
    "宰父": ["zai", "fu"],
}


def spelt(name: str) -> list[str]:
    """The syllables of a name in pinyin, its surname read as a surname; marks between parts are left out."""
    plain = "".join(c for c in name_key(name) if c.isalnum())
    if len(plain) > 2 and plain[:2] in DOUBLE:
        return DOUBLE[plain[:2]] + lazy_pinyin(plain[2:], style=Style.NORMAL, errors=_letters)
    found = lazy_pinyin(plain, style=Style.NORMAL, errors=_letters)
    if plain[:1] in SURNAMES and found:
        found[0] = SURNAMES[plain[0]]
    return found


def _letters(text: str) -> Any:
    """What has no pinyin is spelt as it stands, letter by letter."""
    return list(text.lower())


def _rank(order: tuple[str, ...], word: str) -> int:
    return order.index(word) if word in order else -1


def _holds(row: Row, day: date) -> bool:
    """Whether a post is held on a day: begun, and not ended."""
    begun, ended = row.get("start_date"), row.get("end_date")
    return not (begun and partial(begun).first() > day) and not (ended and partial(ended).last() <= day)


__all__ = [
    "NEEDED",
    "WANTED",
    "WANTED_ROWS",
    "arranged",
    "card_of",
    "count_people",
    "partial",
    "rebuild_tree",
    "refresh",
    "turning",
]
