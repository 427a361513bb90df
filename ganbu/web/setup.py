"""Starting Django for a data folder (启动): from the command line, before any model is imported."""

from __future__ import annotations

import os
from pathlib import Path

from ganbu.errors import MisuseError, RecordsError

DATABASE = "ganbu.sqlite3"


def home() -> Path:
    """The data folder of this installation."""
    return Path(os.environ.get("GANBU_HOME", "ganbu-data"))


def form_layout(folder: Path) -> Path | None:
    """The department's own docx layout of the 任免审批表 (自定版式) in a data folder, None where it has none."""
    path = folder / "templates" / "form.docx"
    return path if path.exists() else None


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


def ready() -> None:
    """Start over a database that is there and up to date. Raises MisuseError that says what to do first."""
    if not in_use():
        raise MisuseError(f"{home()} 里还没有数据库：请先运行 ganbu migrate")
    start()
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor
    from django.db.utils import DatabaseError

    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise RecordsError(f"数据库打不开：{error}") from error
    if pending:
        raise MisuseError("数据库还没有建立，或比程序旧：请先备份数据文件夹，再运行 ganbu migrate")


def migrate(quiet: bool = True) -> None:
    """Bring the database up to date, triggers included."""
    from django.conf import settings
    from django.core.management import call_command

    settings.HOME.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0 if quiet else 1, interactive=False)
