"""Making accounts and granting roles (账号与授权): each act leaves an audit entry."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from ganbu.access import audit
from ganbu.access.current import current
from ganbu.access.models import Account, Grant
from ganbu.access.roles import purposes, roles
from ganbu.errors import GanbuError, nearest


class AccessError(GanbuError):
    """Something about accounts or grants that may not be (账号、授权不合规定)."""


@transaction.atomic
def create_account(
    username: str, name: str, password: str, person: str = "", must_change: bool = True, checked: bool = True
) -> Account:
    """A new account without any role. Raises AccessError when the name is taken or the password weak."""
    if not username or not name:
        raise AccessError("请填账号和姓名")
    if Account.objects.filter(username__iexact=username).exists():
        raise AccessError(_("账号“%(name)s”已经有了") % {"name": username})
    account = Account(username=username, name=name, person=person, must_change=must_change)
    if checked:
        check_password_strength(password, account)
    account.set_password(password)
    account.save()
    audit.append("account.create", username, name=name)
    return account


def check_password_strength(password: str, account: Account) -> None:
    """Raise AccessError when the password is too weak."""
    try:
        validate_password(password, account)
    except ValidationError as error:
        raise AccessError(_("密码不合要求：%(why)s") % {"why": _("；").join(error.messages)}) from error


@transaction.atomic
def set_active(account: Account, active: bool) -> None:
    """Let an account log in, or not."""
    account.is_active = active
    account.save(update_fields=["is_active"])
    audit.append("account.enable" if active else "account.disable", account.username)


@transaction.atomic
def set_password(account: Account, password: str, by_owner: bool) -> None:
    """Give a new password; one that somebody else gave must be changed, and what was granted rests until confirmed.

    Raises AccessError for a weak one, and for one of the three administrators unless at the machine itself.
    """
    if not by_owner:
        _taken_over(account)
    check_password_strength(password, account)
    account.set_password(password)
    account.must_change = not by_owner
    account.save(update_fields=["password", "must_change"])
    audit.append("account.password", account.username)


@transaction.atomic
def forget_factor(account: Account) -> None:
    """Let an account set up its second factor anew; guarded like a new password. Raises AccessError."""
    _taken_over(account)
    TOTPDevice.objects.filter(user=account).delete()
    StaticDevice.objects.filter(user=account).delete()
    audit.append("account.factor.forget", account.username)


def _taken_over(account: Account) -> None:
    """Whoever resets an account could enter it: its grants rest, and the three administrators are out of reach."""
    if current().account is None:
        return  # a command at the machine
    if any(roles()[g.role].single for g in account.grants.all() if g.role in roles()):
        raise AccessError("三员分立：三员的密码和二次验证只能在服务器上用 ganbu reset-password 重设")
    if account.grants.exists():
        account.suspended = True
        account.save(update_fields=["suspended"])


@transaction.atomic
def confirm(account: Account) -> None:
    """The security administrator has made sure who is behind a reset account: its grants hold again (确认)."""
    account.suspended = False
    account.save(update_fields=["suspended"])
    audit.append("account.confirm", account.username)


@transaction.atomic
def grant(
    account: Account,
    role: str,
    unit: str = "",
    managements: tuple[str, ...] = (),
    purpose: str = "",
    until: date | None = None,
) -> Grant:
    """Grant a role. Raises AccessError where the three administrators would mix (三员分立) or one grants oneself."""
    if role not in roles():
        raise AccessError(_("没有角色“%(role)s”。") % {"role": role} + nearest(role, roles()))
    if purpose and purpose not in purposes():
        raise AccessError(_("没有用途“%(purpose)s”。") % {"purpose": purpose} + nearest(purpose, purposes()))
    by = current().account
    if by is not None and by.pk == account.pk:
        raise AccessError(_("不能给自己授权"))
    held = [roles()[g.role] for g in account.grants.all() if g.role in roles()]
    wanted = roles()[role]
    for other in held:
        if other.name != role and (other.single or wanted.single):
            raise AccessError(
                _("三员分立：%(held)s不能兼任%(wanted)s") % {"held": other.called, "wanted": wanted.called}
            )
    made = Grant.objects.create(
        account=account, role=role, unit=unit, managements=list(managements), purpose=purpose, until=until, made_by=by
    )  # fmt: skip
    audit.append("grant.give", account.username, role=role, unit=unit, managements=managements, until=until)
    return made


@transaction.atomic
def revoke(given: Grant) -> None:
    """Take a grant back."""
    audit.append("grant.take", given.account.username, role=given.role, unit=given.unit)
    given.delete()
