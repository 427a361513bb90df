"""The records app (档案库)."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RecordsConfig(AppConfig):
    """The dated record in a database."""

    name = "ganbu.records"
    verbose_name = "档案库"

    def ready(self) -> None:
        """After every migration: the append-only triggers, and the field keys of a database that has nothing sealed."""
        post_migrate.connect(_guard, sender=self)


def _guard(using: str, **kwargs: Any) -> None:
    from django.conf import settings

    from ganbu.access.sealing import Keys
    from ganbu.records.models import Change
    from ganbu.records.triggers import install

    install(using)
    if not Change.objects.exists():  # keys that are lost over a record are brought back, never made anew
        Keys.begin(settings.KEYS)
