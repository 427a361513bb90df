"""Packs this department adopted (采用的规则包), and the registers they declare (自建登记表)."""

from __future__ import annotations

from functools import lru_cache

from ganbu.access.current import current
from ganbu.engine.policy import words_of
from ganbu.records.models import Setting
from ganbu.vocabulary import Register, Vocabulary

ADOPTED = "packs"
DEFAULT = ("national", "registers")


def adopted() -> tuple[str, ...]:
    """The names of the packs in use; the national baseline and the shipped registers always are."""
    who = current()
    if ADOPTED in who.kept:
        return tuple(who.kept[ADOPTED])
    row = Setting.objects.filter(pk=ADOPTED).first()
    found = tuple(row.value) if row else DEFAULT
    if who.account is not None:  # one request asks again and again, and sees the same
        who.kept[ADOPTED] = found
    return found


def adopt(packs: list[str]) -> None:
    """Use these packs from now on. Raises PackError when one cannot be read."""
    from ganbu.access import audit

    _vocabulary(tuple(packs))
    Setting.objects.update_or_create(pk=ADOPTED, defaults={"value": packs})
    current().kept.pop(ADOPTED, None)
    audit.append("packs.adopt", "、".join(packs))


def vocabulary() -> Vocabulary:
    """The vocabulary with all registers that adopted packs declare."""
    return _vocabulary(adopted())


def local_registers() -> dict[str, Register]:
    """The registers that adopted packs declare, by name."""
    return {name: register for name, register in vocabulary().registers.items() if register.local}


_vocabulary = lru_cache(maxsize=8)(words_of)
