"""Starting Django for a data folder (启动): from the command line, before any model is imported."""

from __future__ import annotations

import os
from pathlib import Path

DATABASE = "ganbu.sqlite3"


def home() -> Path:
    """The data folder of this installation."""
    return Path(os.environ.get("GANBU_HOME", "ganbu-data"))


def in_use() -> bool:
    """Whether this installation has a database: one is named, or the data folder has one."""
    return bool(os.environ.get("DATABASE_URL")) or (home() / DATABASE).exists()


def start(folder: Path | None = None) -> None:
    """Set up Django, over `folder` if given. Does nothing the second time."""
    import django
    from django.apps import apps

    if apps.ready:
        return
    if folder is not None:
        os.environ["GANBU_HOME"] = str(folder)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ganbu.settings")
    django.setup()


def migrate(quiet: bool = True) -> None:
    """Bring the database up to date, triggers included."""
    from django.conf import settings
    from django.core.management import call_command

    settings.HOME.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0 if quiet else 1, interactive=False)
