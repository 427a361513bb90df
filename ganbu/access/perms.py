"""The one place that decides permission (权限判定): pages, exports, searches and commands all ask here.

An account may do something when one of its grants, in force today, has a role with that action and, where a person is
concerned, a scope that covers them. `Scope` is handed on to the queries of the record, which know units and people.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied

from ganbu.access.models import Account, Grant
from ganbu.access.roles import ACTIONS, Role, roles
from ganbu.vocabulary import Field, Register


@dataclass(frozen=True)
class Part:
    """One part of a scope (范围): units under `unit` ("" for all), people of some management levels (none for all)."""

    unit: str
    managements: frozenset[str]


@dataclass(frozen=True)
class Scope:
    """Whom an account may do something with (人员范围): the union of its parts; `person` is always inside."""

    parts: tuple[Part, ...] = ()
    person: str = ""

    @property
    def everybody(self) -> bool:
        """Whether nobody is outside."""
        return any(not part.unit and not part.managements for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts or self.person)


class Rights:
    """What one account may do today (账号权限), read from its grants once."""

    def __init__(self, account: Account, day: date | None = None) -> None:
        day = day or date.today()
        self.account = account
        self.held: list[tuple[Grant, Role]] = [
            (grant, roles()[grant.role].restricted(grant.purpose))
            for grant in account.grants.all()
            if account.is_active
            and not account.suspended
            and grant.role in roles()
            and (grant.since is None or grant.since <= day)
            and (grant.until is None or day < grant.until)
        ]

    def may(self, action: str) -> bool:
        """Whether any grant has that action."""
        return any(action in role.actions for _, role in self.held)

    def require(self, *actions: str) -> None:
        """Raise PermissionDenied unless one of the actions is allowed."""
        if not any(self.may(action) for action in actions):
            raise PermissionDenied("、".join(actions))

    def scope(self, action: str, register: Register | None = None) -> Scope:
        """Whom the account may do it with; given a sensitive register, with whom a role that sees it lets one do it."""
        parts = tuple(
            Part(grant.unit, frozenset(grant.managements))
            for grant, role in self.held
            if action in role.actions
            and not role.own
            and (register is None or register.secrecy != "sensitive" or role.sees(register.name))
        )
        own = any(role.own and (action == "people.read" or action in role.actions) for _, role in self.held)
        return Scope(parts, self.account.person if own else "")

    def everywhere(self, action: str, register: Register) -> bool:
        """Whether the register may be seen of everybody the action may be done with."""
        return self.sees(register) and set(self.scope(action).parts) <= set(
            self.scope(action, register).parts
        )

    @property
    def everything(self) -> bool:
        """Whether every register may be seen, so that reasons of changes to any of them may be too."""
        return any("*" in role.sensitive for _, role in self.held)

    def narrowed(self, covers: Callable[[Grant, Role], bool]) -> Rights:
        """The rights that some of the grants give: those that cover a person, say."""
        found = copy(self)
        found.held = [(grant, role) for grant, role in self.held if covers(grant, role)]
        return found

    def only(self, *actions: str) -> Rights:
        """The rights as far as some actions go."""
        found = copy(self)
        found.held = [
            (grant, replace(role, actions=role.actions & set(actions))) for grant, role in self.held
        ]
        return found

    def sees(self, register: Register) -> bool:
        """Whether the account may see a register at all; a cadre what is open about themselves, or written by them."""
        if register.secrecy != "sensitive":
            return self.may("people.read") or self.may("own.read")
        return any(role.sees(register.name) or (role.own and register.local and bool(register.writers) and role.fills(register)) for _, role in self.held)  # fmt: skip

    def sees_field(self, register: Register, item: Field) -> bool:
        """Whether a field's value is shown; sealed ones are masked even then, and revealed with a reason."""
        return item.secrecy != "sensitive" or self.may("people.reveal") or register.secrecy == "sensitive"

    def changes(self, register: Register) -> bool:
        """Whether the account may change a register on its edit page."""
        if register.procedural:
            return False
        if register.name in ("unit", "post", "team"):
            return self.may("units.write")
        if register.local:
            return any("registers.write" in role.actions and role.fills(register) for _, role in self.held)
        return any("people.write" in role.actions and role.changes(register.name) for _, role in self.held)

    def __getitem__(self, name: str) -> bool:
        """`rights["people_write"]`: an action by a name that a template can write. Raises KeyError."""
        action = name.replace("_", ".", 1)
        if action not in ACTIONS:
            raise KeyError(name)
        return self.may(action)

    @property
    def roles(self) -> list[Role]:
        """The roles held today."""
        return list(dict.fromkeys(role for _, role in self.held))


def rights(request: Any) -> Rights:
    """The rights of whoever asks, kept with the request."""
    if not hasattr(request, "_rights"):
        request._rights = Rights(request.user)
    found: Rights = request._rights
    return found
