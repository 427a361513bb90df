"""The records app (档案库)."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RecordsConfig(AppConfig):
    """The dated record in a database."""

    name = "ganbu.records"
    verbose_name = "档案库"

    def ready(self) -> None:
        """Put the append-only triggers in place after every migration."""
        post_migrate.connect(_guard, sender=self)


def _guard(using: str, **kwargs: Any) -> None:
    from ganbu.records.triggers import install

    install(using)
