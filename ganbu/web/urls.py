"""Every address there is (网址). Each view has a door: see `access/middleware.py`."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.views.i18n import set_language

from ganbu.access import views as access
from ganbu.access.middleware import ANYBODY, door
from ganbu.web import (
    changes,
    corrections,
    dossier,
    findings,
    home,
    imports,
    people,
    printing,
    query,
    registers,
    requests,
    units,
)


class Identity:
    """An identity of the record within an address; a slash in it is written `~s`."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """As the record has it."""
        return value.replace("~s", "/").replace("~t", "~")

    def to_url(self, value: str) -> str:
        """As an address has it."""
        return str(value).replace("~", "~t").replace("/", "~s")


register_converter(Identity, "id")

handler403 = "ganbu.web.home.refused"
handler404 = "ganbu.web.home.missing"
handler500 = "ganbu.web.home.broken"

urlpatterns: list[URLPattern] = [
    path("", home.home, name="home"),
    path("help/", home.help_page, name="help"),
    path("help/template/", printing.template, name="form-template"),
    path("language/", door(ANYBODY, methods=("POST",))(set_language), name="set_language"),
    path("login/", access.log_in, name="login"),
    path("logout/", access.log_out, name="logout"),
    path("second-factor/", access.second_factor, name="second-factor"),
    path("password/", access.password, name="password"),
    path("accounts/", access.accounts, name="accounts"),
    path("accounts/<int:pk>/<str:act>/", access.account_act, name="account-act"),
    path("grants/", access.grants, name="grants"),
    path("grants/<int:pk>/confirm/", access.grant_confirm, name="grant-confirm"),
    path("grants/<int:pk>/take/", access.grant_take, name="grant-take"),
    path("audit/", access.audit_page, name="audit"),
    path("audit/verify/", access.audit_verify, name="audit-verify"),
    path("own/", people.own, name="own"),
    path("people/", people.people, name="people"),
    path("people/new/", corrections.new_person, name="new-person"),
    path("people/compare/", people.compare, name="compare"),
    path("people/alike/", changes.alike, name="alike"),
    path("people/roster/", printing.roster, name="roster"),
    path("exports/", printing.exports, name="exports"),
    path("exports/<int:pk>/", printing.export, name="export"),
    path("people/<id:person>/", people.person, name="person"),
    path("people/<id:person>/file/", dossier.file, name="file"),
    path("people/<id:person>/file/audit/", dossier.open_audit, name="file-open"),
    path("people/<id:person>/file/custody/", dossier.custody, name="file-custody"),
    path("people/<id:person>/growth/", dossier.growth, name="growth"),
    path("people/<id:person>/photo/", people.photo, name="photo"),
    path("people/<id:person>/history/", changes.history, name="history"),
    path("people/<id:person>/resume/", corrections.reconcile, name="reconcile"),
    path("people/<id:person>/request/", requests.make, name="request-make"),
    path("people/<id:person>/form/<str:kind>/", printing.form, name="form"),
    path("people/<id:person>/reveal/<str:field>/", people.reveal, name="reveal"),
    path("people/<id:person>/edit/<str:register>/", corrections.edit, name="add"),
    path("people/<id:person>/edit/<str:register>/<id:identity>/", corrections.edit, name="edit"),
    path("changes/<int:pk>/undo/", changes.undo_change, name="undo-change"),
    path("units/", units.units, name="units"),
    path("units/<id:unit>/", units.unit, name="unit"),
    path("units/<id:unit>/below/", units.children, name="children"),
    path("units/<id:unit>/edit/", units.edit_unit, name="edit-unit"),
    path("units/<id:unit>/new/", units.new_unit, name="new-unit"),
    path("teams/", units.teams, name="teams"),
    path("teams/<id:team>/", units.team, name="team"),
    path("query/", query.query, name="query"),
    path("query/save/", query.save, name="query-save"),
    path("query/<int:pk>/drop/", query.drop, name="query-drop"),
    path("query/cross/", query.cross, name="cross"),
    path("files/", dossier.files, name="files"),
    path("files/missing/", dossier.missing, name="files-missing"),
    path("files/audits/<id:identity>/", dossier.audit, name="file-audit"),
    path("files/audits/<id:identity>/sign/", dossier.sign, name="file-sign"),
    path("files/audits/<id:identity>/form/", dossier.form, name="file-form"),
    path("files/issues/<id:identity>/", dossier.issue, name="file-issue"),
    path("findings/", findings.findings, name="findings"),
    path("findings/run/", findings.run, name="findings-run"),
    path("findings/<int:pk>/", findings.reasons, name="reasons"),
    path("imports/", imports.imports, name="imports"),
    path("imports/<int:pk>/", imports.batch, name="import"),
    path("imports/<int:pk>/issues/", imports.issues, name="import-issues"),
    path("registers/", registers.registers, name="registers"),
    path("registers/<str:name>/", registers.register, name="register"),
    path("registers/<str:name>/due/", registers.due, name="register-due"),
    path("registers/<str:name>/template/", registers.template, name="register-template"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<int:pk>/", requests.decide, name="request-decide"),
]
