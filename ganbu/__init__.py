"""Ganbu (干部): the lifecycle of a cadre corps, run by rules that are data."""

from ganbu.engine.policy import Pack, load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Run, evaluate

__all__ = ["Pack", "Records", "Run", "evaluate", "load_pack"]
