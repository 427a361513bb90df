"""English names of registers and fields (英文名称), by their Chinese label: `english.yaml`, for pages in English."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml

from ganbu.vocabulary.registers import Field, Register


@cache
def english_names() -> Mapping[str, Mapping[str, str]]:
    """What `english.yaml` says: `registers` and `fields`, each from the Chinese label to English."""
    names: dict[str, dict[str, str]] = yaml.safe_load(
        files("ganbu.vocabulary").joinpath("english.yaml").read_text("utf-8")
    )
    return names


def english_name(item: Field | Register | str) -> str:
    """The English name of a register or field, or of what only the Chinese label is known of.

    Registers that a pack declares share these names where they share the labels; their other fields are read from
    the identifier: `main_item` is "Main item".

    >>> english_name("任职时间")
    'Appointed on'
    """
    names = english_names()
    if isinstance(item, str):
        return names["fields"].get(item) or names["registers"].get(item) or item
    known = names["registers" if isinstance(item, Register) else "fields"].get(item.label)
    return known or (item.name.replace("_", " ").capitalize() if item.name.isascii() else item.label)
