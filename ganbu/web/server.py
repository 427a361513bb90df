"""Serving (服务): gunicorn with threads, and beside it one process for long work; both end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.db import connections
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

KEEP_ALIVE = 15  # seconds: longer than people look at a page, so that the next needs no new connection


class Quiet(Logger):  # type: ignore[misc]
    """Warnings and errors only."""

    def setup(self, cfg: Any) -> None:
        """As gunicorn does, at a higher level."""
        super().setup(cfg)
        self.error_log.setLevel("WARNING")


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn as a part of the program."""

    def __init__(self, host: str, port: int, workers: int, threads: int) -> None:
        self.chosen = {
            "bind": f"{host}:{port}", "workers": workers, "threads": threads, "worker_class": "gthread", "timeout": 120,
            "keepalive": KEEP_ALIVE, "logger_class": Quiet, "control_socket_disable": True, "preload_app": False, "forwarded_allow_ips": "127.0.0.1",
        }  # fmt: skip
        super().__init__()

    def load_config(self) -> None:
        """Ours only: nothing is read from the command line or a file."""
        for name, value in self.chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """The application."""
        from ganbu.web.wsgi import application

        return application


def serve(host: str, port: int, workers: int = 2, threads: int = 4) -> None:
    """Serve until stopped."""
    # What serves is forked from here: SQLite takes a connection that two processes hold for a broken disk.
    connections.close_all()
    environment = {**os.environ, "GANBU_HOME": str(settings.HOME), "DATABASE_URL": settings.DATABASE_URL}
    worker = subprocess.Popen([sys.executable, "-m", "ganbu.cli", "work"], env=environment)
    try:
        Server(host, port, workers, threads).run()
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(10)
