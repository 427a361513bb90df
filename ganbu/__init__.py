"""Ganbu (干部): the lifecycle of a cadre corps, run by rules that are data."""

from ganbu.engine.explain import Explanation, explain
from ganbu.engine.policy import Pack, load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Run, evaluate
from ganbu.engine.simulate import Simulation, simulate
from ganbu.engine.whatif import Overlay, Sandbox

__all__ = [
    "Explanation",
    "Overlay",
    "Pack",
    "Records",
    "Run",
    "Sandbox",
    "Simulation",
    "evaluate",
    "explain",
    "load_pack",
    "simulate",
]
