"""Every scenario of every shipped pack, and what they cover together."""

import json

import pytest

from ganbu.engine.check import check_pack
from ganbu.engine.coverage import coverage
from ganbu.engine.policy import KINDS, load_pack, shipped_packs, shipped_policies
from ganbu.engine.scenario import MECHANISM, run_scenario
from ganbu.errors import RecordsError

PACKS = [load_pack(folder) for _, folder in shipped_packs()]
SCENARIOS = [
    pytest.param(pack, body, id=f"{pack.name}/{body['scenario']}")
    for pack in PACKS
    for body in pack.scenarios
]


@pytest.mark.parametrize(("pack", "body"), SCENARIOS)
def test_scenario(pack, body):
    assert run_scenario(pack, body).failures == []


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_pack_has_no_errors_and_every_policy_a_scenario_and_a_source(pack):
    assert [str(remark) for remark in check_pack(pack) if remark.severity in ("error", "warning")] == []


def test_there_are_enough_scenarios_mechanisms_and_every_kind():
    assert len(SCENARIOS) >= 150
    assert {policy.kind for pack in PACKS for policy in pack.policies.values()} == set(KINDS)
    assert (
        len(
            {
                s
                for pack in PACKS
                for policy in pack.policies.values()
                for s in policy.sources
                if MECHANISM.match(s)
            }
        )
        >= 150
    )


def test_coverage_counts_only_what_is_cited_and_passes(tmp_path, pack):
    made = pack(
        "policy: 甲\nkind: eligibility\nsource: [001-1, 001-2, 999-9]\nrequire: {a: {when: 是, source: 001-3}}\n---\nscenario: x\nas_of: 2024-01-01\ncovers: [001-1]\nexpect: {甲: 符合}\n---\nscenario: y\nas_of: 2024-01-01\ncovers: [001-2]\nexpect: {甲: 不符合}\n"
    )
    file = tmp_path / "m.jsonl"
    file.write_text(
        "".join(json.dumps({"id": f"001-{n}", "cat": "AB"[n % 2]}) + "\n" for n in range(1, 5)), "utf-8"
    )
    found = coverage(file, [made], [run_scenario(made, body) for body in made.scenarios])
    assert (
        found.ids == ("001-1",)
        and found.unknown == ("999-9",)
        and found.total == {"A": 2, "B": 2}
        and found.share == 0.25
    )
    file.write_text("{}\n", "utf-8")
    with pytest.raises(RecordsError, match=r"m\.jsonl:1"):
        coverage(file, [made], [])


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ("{甲: {结果: 不符合}}", "应为 不符合，实为 符合"),
        ("{甲: {数值: 3}}", "数值 应为 3，实为 0"),
        ("{甲: {依据: [某条]}}", "依据 应含 某条"),
        ("{甲: {没有这列: 1}}", "没有"),
        ("{甲: {丙: 符合}}", "没有结果"),
        ("{乙: 符合}", "没有规则“乙”"),
    ],
)
def test_a_wrong_expectation_fails_with_what_was_found(pack, expect, said):
    made = pack(
        f"policy: 甲\nkind: eligibility\nsource: x\nrequire: {{a: 是}}\n---\nscenario: x\nas_of: 2024-01-01\ngiven: {{人员: [{{姓名: 甲某}}]}}\nexpect: {expect}\n"
    )
    (failure, *_) = run_scenario(made, made.scenarios[0]).failures
    assert said in failure


def test_policies_are_found_by_name_without_loading_a_pack():
    found: dict[str, list] = {}
    for pack in PACKS:
        for name in pack.policies:
            found.setdefault(name, []).append(pack.folder)
    assert {name: sorted(folders) for name, folders in shipped_policies().items()} == {
        name: sorted(folders) for name, folders in found.items()
    }
