"""Coverage (覆盖): which mechanisms of the requirement bank a pack item cites and a passing scenario exercises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganbu.engine.policy import Pack
from ganbu.engine.scenario import MECHANISM, Result
from ganbu.errors import RecordsError


@dataclass(frozen=True)
class Coverage:
    """Per letter: how many mechanisms there are, how many are cited, and how many are cited and exercised."""

    total: dict[str, int]
    cited: dict[str, int]
    exercised: dict[str, int]
    unknown: tuple[str, ...]
    ids: tuple[str, ...]

    @property
    def share(self) -> float:
        """Exercised mechanisms as a share of all."""
        return sum(self.exercised.values()) / max(1, sum(self.total.values()))


def coverage(catalogue: Path, packs: Iterable[Pack], results: Iterable[Result]) -> Coverage:
    """Compare the sources of packs and their passing scenarios with a catalogue (`mechanisms.jsonl`)."""
    letters: dict[str, str] = {}
    try:
        lines = catalogue.read_text("utf-8").splitlines()
    except OSError as error:
        raise RecordsError(f"{catalogue}：无法读取：{error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            letters[str(item["id"])] = str(item["cat"])[:1]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise RecordsError(f"{catalogue}:{number}：每行应是含 id 和 cat 的 JSON") from error
    cited = {
        s for pack in packs for policy in pack.policies.values() for s in policy.sources if MECHANISM.match(s)
    }
    exercised = {s for result in results if result.passed for s in result.covers}
    done = cited & exercised
    return Coverage(
        dict(sorted(Counter(letters.values()).items())),
        dict(Counter(letters[s] for s in cited if s in letters)),
        dict(Counter(letters[s] for s in done if s in letters)),
        tuple(sorted(s for s in cited if s not in letters)),
        tuple(sorted(s for s in done if s in letters)),
    )
