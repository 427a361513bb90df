"""Backup and restore (备份、恢复): the database as it stands at one moment, with uploads and templates, in one zip.

SQLite is copied by its own backup; PostgreSQL by `pg_dump` and `psql`. Keys are kept apart from what they open.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from ganbu.access import audit
from ganbu.errors import MisuseError, RecordsError
from ganbu.formats.zips import DAMAGE
from ganbu.web.setup import migrate

FOLDERS = ("uploads", "templates", "runs")
OWN = ("dossier.yaml",)  # files of the data folder that a department wrote itself
ABOUT = "ganbu-backup.json"


def backup(target: Path) -> int:
    """Write the backup whole or not at all; returns its size in bytes. Raises MisuseError."""
    if target.exists():
        raise MisuseError(f"{target} 已经存在，不会覆盖")
    if not target.absolute().parent.is_dir():
        raise MisuseError(f"没有文件夹 {target.absolute().parent}，写不了备份")
    audit.append("backup", str(target.name))
    part = target.with_name(target.name + ".part")
    with tempfile.TemporaryDirectory() as made:
        dump = Path(made) / "database"
        _dump(dump)
        count, head = audit.head()
        about = {
            "vendor": connection.vendor,
            "made_at": datetime.now().isoformat(),
            "audit": count,
            "head": head,
        }
        part.touch(0o600)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(ABOUT, json.dumps(about, ensure_ascii=False, indent=2))
            archive.write(dump, "database")
            for name in OWN:
                if (settings.HOME / name).is_file():
                    archive.write(settings.HOME / name, name)
            for folder in FOLDERS:
                for path in sorted((settings.HOME / folder).rglob("*")):
                    if path.is_file():
                        archive.write(path, path.relative_to(settings.HOME).as_posix())
    part.replace(target)
    return target.stat().st_size


def _dump(path: Path) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        copy = sqlite3.connect(path)
        with copy:
            connection.connection.backup(copy)
        copy.close()
        return
    _run(["pg_dump", "--no-owner", "--no-privileges", "--clean", "--if-exists", "--file", str(path)], "备份")


def _run(command: list[str], what: str) -> None:
    told = settings.DATABASES["default"]
    environment = {
        **os.environ, "PGHOST": str(told["HOST"]), "PGPORT": str(told["PORT"] or "5432"), "PGUSER": str(told["USER"]),
        "PGPASSWORD": str(told["PASSWORD"]), "PGDATABASE": str(told["NAME"]),
    }  # fmt: skip
    if shutil.which(command[0]) is None:
        raise MisuseError(f"没有 {command[0]}：请安装 PostgreSQL 客户端")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise RecordsError(f"{what}没有完成：{done.stderr.strip()[-500:]}")


def restore(source: Path, replace: bool = False) -> None:
    """Put a backup back; the present database goes only with `replace`. Raises MisuseError and RecordsError."""
    if not source.exists():
        raise MisuseError(f"没有备份文件 {source}")
    settings.HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.HOME) as made:
        about = _unpacked(source, Path(made))
        _check(about, Path(made) / "database", source)
        _put_back(Path(made), str(about["vendor"]), replace)
    migrate()
    audit.append("restore", source.name, made_at=about["made_at"], head=about["head"])


def _unpacked(source: Path, made: Path) -> dict[str, str]:
    """Unpack a backup, every file compared with its checksum; what it tells of itself."""
    try:
        with zipfile.ZipFile(source) as archive:
            about = {
                name: str(json.loads(archive.read(ABOUT))[name]) for name in ("vendor", "made_at", "head")
            }
            names = [
                n for n in archive.namelist() if n == "database" or n in OWN or n.split("/")[0] in FOLDERS
            ]
            if any(".." in Path(n).parts or Path(n).is_absolute() for n in names):
                raise RecordsError(f"{source}：备份文件里有不该有的路径")
            archive.getinfo("database")
            archive.extractall(made, names)
    except OSError as error:
        raise RecordsError(f"{source}：读不了，或解不开：{error.strerror or error}") from error
    except DAMAGE as error:
        raise RecordsError(f"{source}：不是 Ganbu 的备份文件，或已损坏") from error
    return about


def _check(about: dict[str, str], dump: Path, source: Path) -> None:
    if about["vendor"] != connection.vendor:
        raise MisuseError(f"{source} 是 {about['vendor']} 的备份，现在用的是 {connection.vendor}")
    if about["vendor"] == "sqlite":
        held = sqlite3.connect(f"file:{dump}?mode=ro", uri=True)
        try:
            sound = str(held.execute("PRAGMA integrity_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            sound = str(error)
        finally:
            held.close()
        if sound != "ok":
            raise RecordsError(f"{source}：备份里的数据库不完整：{sound}")


def _put_back(made: Path, vendor: str, replace: bool) -> None:
    if vendor == "sqlite":
        target = Path(str(connection.settings_dict["NAME"]))
        if target.exists() and not replace:
            raise MisuseError(f"{target} 已有数据库；确要替换请加 --replace")
        connection.close()
        for suffix in ("-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        shutil.move(made / "database", part)  # the database may be on another disk than the data folder
        part.replace(target)
    else:
        if connection.introspection.table_names() and not replace:
            raise MisuseError("数据库里已有内容；确要替换请加 --replace")
        connection.close()
        _run(
            [
                "psql",
                "--quiet",
                "--single-transaction",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                str(made / "database"),
            ],
            "恢复",
        )
    for name in OWN:
        if (made / name).exists():
            shutil.move(made / name, settings.HOME / name)
    for folder in FOLDERS:
        if replace or (made / folder).exists():
            shutil.rmtree(settings.HOME / folder, ignore_errors=True)
        if (made / folder).exists():
            shutil.move(str(made / folder), str(settings.HOME / folder))
