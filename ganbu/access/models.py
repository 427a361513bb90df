"""Accounts, what they were granted, and the audit chain (账号、授权、审计)."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Accounts(BaseUserManager["Account"]):
    """Accounts by name, upper and lower case being the same."""

    def get_by_natural_key(self, username: str | None) -> Account:
        """Log-in name, whatever its case."""
        return self.get(username__iexact=username)


class Account(AbstractBaseUser):
    """An account (账号): it may log in; what it may do is in its grants."""

    username = models.CharField("账号", max_length=60, unique=True)
    name = models.CharField("姓名", max_length=60)
    person = models.CharField("人员编号", max_length=80, blank=True)
    is_active = models.BooleanField("启用", default=True)
    must_change = models.BooleanField("须改密码", default=True)
    suspended = models.BooleanField(
        "待确认", default=False, help_text="密码或二次验证由他人重设后，须安全保密管理员确认，授权才恢复"
    )
    made_at = models.DateTimeField("建立时间", auto_now_add=True)

    USERNAME_FIELD = "username"
    objects = Accounts()

    class Meta:
        verbose_name = "账号"

    def __str__(self) -> str:
        return f"{self.name}（{self.username}）"


class Grant(models.Model):
    """A grant (授权): a role over a part of the units and some management levels, for a time."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="grants", verbose_name="账号")
    role = models.CharField("角色", max_length=30)
    unit = models.CharField("机构范围", max_length=80, blank=True, help_text="空为全部机构")
    managements = models.JSONField("管理类别", default=list, blank=True, help_text="空为全部")
    purpose = models.CharField("用途", max_length=100, blank=True)
    since = models.DateField("起", null=True, blank=True)
    until = models.DateField("止（不含）", null=True, blank=True)
    made_by = models.ForeignKey(Account, models.PROTECT, null=True, related_name="+", verbose_name="授权人")
    made_at = models.DateTimeField("授权时间", auto_now_add=True)

    class Meta:
        verbose_name = "授权"


class SessionOf(models.Model):
    """Which sessions an account has (会话), so that it has no more than it may."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="sessions_of")
    key = models.CharField(max_length=40, unique=True)
    began = models.DateTimeField(auto_now_add=True)


class AuditEntry(models.Model):
    """An entry of the audit chain (审计记录): never changed, never deleted; `digest` covers the one before it."""

    at = models.DateTimeField("时间", db_index=True)
    account = models.ForeignKey(Account, models.PROTECT, null=True, related_name="+", verbose_name="账号")
    actor = models.CharField("操作人", max_length=130)
    address = models.CharField("地址", max_length=60, blank=True)
    action = models.CharField("动作", max_length=40, db_index=True)
    subject = models.CharField("对象", max_length=200, blank=True, db_index=True)
    detail = models.JSONField("详情", default=dict)
    before = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = "审计记录"
        ordering = ("-id",)
