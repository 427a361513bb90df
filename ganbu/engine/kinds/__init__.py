"""The kinds of policy (规则种类): each lowers its YAML to typed outputs."""

from collections.abc import Callable

from ganbu.engine.kinds.base import Context, Lowered
from ganbu.engine.kinds.conditions import alert, chooser, composition, coverage, eligibility
from ganbu.engine.kinds.events import consequence, duty
from ganbu.engine.kinds.groups import quota, rank
from ganbu.engine.kinds.points import index, score

LOWER: dict[str, Callable[[Context], Lowered]] = {
    "eligibility": eligibility,
    "alert": alert,
    "score": score,
    "rank": rank,
    "index": index,
    "composition": composition,
    "quota": quota,
    "duty": duty,
    "coverage": coverage,
    "chooser": chooser,
    "consequence": consequence,
}

__all__ = ["LOWER", "Context", "Lowered"]
