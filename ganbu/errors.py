"""One family of errors (错误), each written for the person who can act on it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class GanbuError(Exception):
    """Anything the user can mend: the message says what, where, and what was expected."""


@dataclass(frozen=True)
class Place:
    """Where in a file (出处): path as the user gave it, line and column from 1."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


class PackError(GanbuError):
    """A pack, policy or scenario is wrong (规则有误).

    `place` names file, line and column; `hint` names what to write instead.
    """

    def __init__(self, message: str, place: Place | None = None, hint: str = "") -> None:
        self.message, self.place, self.hint = message, place, hint
        where = f"{place}: " if place else ""
        super().__init__(where + message + (f"。{hint}" if hint else ""))


class OpenValueError(PackError):
    """A value the source leaves open has not been filled in (待本地填写): the policy does not run until it is."""


class RecordsError(GanbuError):
    """The records handed in cannot be read (档案数据有误): names file, row and field."""


class FormatError(GanbuError):
    """A file cannot be read at all (文件无法读取): names the file and why."""


class MisuseError(GanbuError):
    """The command was called wrongly (命令用法有误): exit code 2."""


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """A hint with the nearest known names (相近的名称), empty when nothing is near.

    >>> nearest("任职时问", ["任职时间", "姓名"])
    '是否想写：任职时间'
    """
    matches = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=limit, cutoff=0.5)
    return "是否想写：" + "、".join(matches) if matches else ""
