"""The findings app (规则结论)."""

from django.apps import AppConfig


class FindingsConfig(AppConfig):
    """Runs of policies and what they found."""

    name = "ganbu.findings"
    verbose_name = "规则结论"
