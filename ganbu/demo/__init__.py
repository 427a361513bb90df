"""The demonstration (演示): a made-up district, imported, evaluated and reported."""

from ganbu.demo.build import build
from ganbu.demo.report import report

__all__ = ["build", "report"]
