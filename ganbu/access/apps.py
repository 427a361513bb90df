"""The access app (账号与权限)."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Accounts, roles, scopes, sealing, the audit chain."""

    name = "ganbu.access"
    verbose_name = "账号与权限"

    def ready(self) -> None:
        """Listen to log-ins and failures, and keep the audit chain append-only."""
        from ganbu.access import signals  # noqa: F401
