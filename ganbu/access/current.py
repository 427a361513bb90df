"""Who is at the door (当前操作人): set once per request or command, read by the audit chain and the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganbu.access.models import Account


@dataclass(frozen=True)
class Actor:
    """An account with its address, or a command on the machine itself."""

    account: Account | None = None
    name: str = "命令行"
    address: str = ""
    kept: dict[str, Any] = field(
        default_factory=dict, compare=False, repr=False
    )  # what need not be read twice meanwhile


_MACHINE = Actor()
_current: ContextVar[Actor] = ContextVar("actor")


def current() -> Actor:
    """Whoever acts now."""
    return _current.get(_MACHINE)


@contextmanager
def acting(account: Account | None = None, name: str = "命令行", address: str = "") -> Iterator[None]:
    """Act as somebody for a while."""
    token = _current.set(Actor(account, name, address))
    try:
        yield
    finally:
        _current.reset(token)
