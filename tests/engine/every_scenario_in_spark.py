"""Every shipped scenario in Spark: those of a pack as one corps, evaluated once for each day and set of parameters.

For `make test-spark`, which CI runs; too long for `make test`, where test_spark.py takes some of every kind as they are.
"""

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ganbu import Records
from ganbu.engine import scenario
from ganbu.engine.run import Store, evaluate
from tests.engine.test_spark import PACKS, in_both, one_core


@pytest.fixture(scope="module", autouse=True)
def _quick_to_run():
    yield from one_core("")


def _one_corps(pack, many):
    """The records of several scenarios as one corps, whoever and whatever is in them told apart by a mark."""
    parts = defaultdict(list)
    for at, one in enumerate(many):
        for name, table in one.tables.items():
            register = pack.vocabulary.registers[name]
            for spec in register.fields.values():
                if spec.name == register.id_field or spec.kind == "ref":
                    marked = pc.binary_join_element_wise(f"{at}·", table[spec.name].cast(pa.string()), "")
                    table = table.set_column(table.column_names.index(spec.name), spec.name, marked)
            parts[name].append(table)
    tables = {name: pa.concat_tables(some, promote_options="permissive") for name, some in parts.items()}
    return Records(tables, pack.vocabulary)


@pytest.mark.parametrize("name", [name for name, pack in PACKS.items() if pack.scenarios])
def test_all_scenarios_of_a_pack_give_the_same_cells_in_spark(name, monkeypatch):
    pack, asked, corps_of = PACKS[name], defaultdict(dict), defaultdict(dict)

    def noted(pack, given, as_of, names, known_at, parameters):
        there = frozenset(given.tables)
        asked[there, as_of, known_at, repr(parameters)] |= dict.fromkeys(names, parameters)
        corps_of[there][id(given)] = given
        return evaluate(pack, given, as_of, names, known_at, parameters)

    monkeypatch.setattr(scenario, "evaluate", noted)
    for body in pack.scenarios:
        assert scenario.run_scenario(pack, body).failures == []
    stores = {there: Store(_one_corps(pack, many.values())) for there, many in corps_of.items()}
    for (there, as_of, known_at, _), named in asked.items():
        if named:
            in_both(pack, stores[there], as_of, list(named), known_at, next(iter(named.values())))
