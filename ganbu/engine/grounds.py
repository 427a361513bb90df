"""What a result rests on (依据的登记表): the registers an expression reads, whatever way it reaches them."""

from __future__ import annotations

from collections.abc import Mapping

from ganbu.engine.bind import Program
from ganbu.engine.tree import Aggregate, Node, reads

Virtual = Mapping[str, list[tuple[str, str]]]
# The facts that make an effect, by what follows its name: whether it holds, from when, until when, on whom, whether it does today.
EFFECT = ("", "·起始日", "·截止日", "·对象", "·生效中")


def grounds(program: Program, virtual: Virtual, register: str, node: Node) -> frozenset[str]:
    """The registers that an expression about rows of a register rests on, that one and those effects make among them.

    `virtual` tells by consequence which effects, of which register, make its rows; kept with the program.
    """
    known, asked = program.grounded, (register, node)
    if asked not in known:
        found: set[str] = set()
        seen, todo = {asked}, [asked]
        while todo:
            here, expression = twin = todo.pop()
            if twin in known:
                found |= known[twin]
                continue
            keys = list(reads(expression))
            passed = {here, *(owner for owner, _ in keys)}
            if isinstance(expression, Aggregate):
                passed.add(expression.register)
            for policy in passed & virtual.keys():
                keys += [(owner, effect + key) for owner, effect in virtual[policy] for key in EFFECT]
            found |= passed
            below = {(key[0], program.definitions[key]) for key in keys if key in program.definitions}
            todo += below - seen
            seen |= below
        known[asked] = frozenset(found)
    return known[asked]
