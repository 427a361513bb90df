"""The record in a database (档案库): a table per register of the vocabulary, every row dated twice, none ever overwritten.

A row is true by its own dates (`happened`, `ended` of the vocabulary) and known from `recorded_at` until
`superseded_at`; `change` says who recorded it and why, `superseded_by` who replaced it. Triggers let nothing else
happen to a row (`triggers.py`). What is derived from rows, to find people quickly, is in `Card`, `Seat` and `UnitNode`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from ganbu.records.columns import column_for
from ganbu.vocabulary import Register, load_vocabulary


class Change(models.Model):
    """One act upon the record (变更): who, when, why; `digest` covers the rows it wrote."""

    made_at = models.DateTimeField("时间", db_index=True)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name="账号"
    )
    actor = models.CharField("操作人", max_length=130)
    kind = models.CharField("种类", max_length=20)
    reason = models.TextField("事由", blank=True)
    origin = models.CharField("来源", max_length=300, blank=True)
    rows = models.JSONField("行数", default=dict)
    digest = models.CharField("指纹", max_length=64, blank=True)
    undoes = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="undone_by", verbose_name="撤销"
    )

    class Meta:
        verbose_name = "变更"
        ordering = ("-id",)


class Recorded(models.Model):
    """What every row of the record has beside the register's own fields."""

    row = models.BigAutoField(primary_key=True)
    change = models.ForeignKey(Change, models.PROTECT, related_name="+", db_column="meta_change")
    superseded_by = models.ForeignKey(
        Change, models.PROTECT, null=True, related_name="+", db_column="meta_superseded_by"
    )
    recorded_at = models.DateTimeField("登记时间", db_column="meta_recorded_at")
    superseded_at = models.DateTimeField("失效时间", null=True, db_column="meta_superseded_at")
    origin = models.CharField("来源", max_length=300, blank=True, db_column="meta_origin")
    evidence_state = models.CharField("核实状态", max_length=20, blank=True, db_column="meta_evidence")
    confidentiality = models.CharField("密级", max_length=20, blank=True, db_column="meta_confidentiality")

    class Meta:
        abstract = True


MODELS: dict[str, type[Recorded]] = {}


def field_name(name: str) -> str:
    """The attribute of a register's field; a leading `f_` keeps it apart from our own."""
    return f"f_{name}"


def _model(register: Register) -> type[Recorded]:
    identity = field_name(register.id_field)
    indexes = [models.Index(fields=[field_name(register.subject_field)], name=f"{register.name}_subject"[:30])] if register.subject_field else []  # fmt: skip
    indexes += [
        models.Index(fields=[field_name(item.name)], name=f"{register.name}_{item.name}"[:30])
        for item in register.fields.values()
        if item.kind == "ref"
        and item.target in ("unit", "team", "post")
        and register.name in ("appointment", "team", "post")
    ]
    meta = type(
        "Meta",
        (),
        {
            "db_table": f"record_{register.name}",
            "verbose_name": register.label,
            "indexes": indexes,
            "constraints": [
                models.UniqueConstraint(
                    fields=[identity],
                    condition=models.Q(superseded_at__isnull=True),
                    name=f"{register.name}_holds",
                )
            ],
        },
    )
    attributes: dict[str, Any] = {"__module__": __name__, "__doc__": f"{register.label}.", "Meta": meta}
    attributes |= {field_name(item.name): column_for(item) for item in register.fields.values()}
    name = "".join(part.title() for part in register.name.split("_")) + "Row"
    return type(name, (Recorded,), attributes)


MODELS |= {name: _model(register) for name, register in load_vocabulary().registers.items()}


class LocalRow(Recorded):
    """A row of a register that a pack declares (自建登记表): its values as JSON, plain texts by field name."""

    register = models.CharField("登记表", max_length=60)
    identity = models.CharField("编号", max_length=80)
    subject = models.CharField("对象", max_length=80, db_index=True, blank=True)
    values = models.JSONField("内容")

    class Meta:
        db_table = "record_local"
        verbose_name = "自建登记表"
        indexes = (models.Index(fields=["register", "subject"], name="local_register"),)
        constraints = (
            models.UniqueConstraint(
                fields=["register", "identity"],
                condition=models.Q(superseded_at__isnull=True),
                name="local_holds",
            ),
        )


class UnitNode(models.Model):
    """Where a unit stands in the tree today (机构树), derived; `path` is the way down to it, `/1/7/`."""

    unit = models.CharField("机构编号", max_length=80, unique=True)
    name = models.CharField("名称", max_length=300)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    path = models.CharField(max_length=300, db_index=True)
    depth = models.IntegerField()
    place = models.IntegerField("顺序")
    people = models.IntegerField("人数", default=0)
    people_under = models.IntegerField("含下级人数", default=0)


class Card(models.Model):
    """What a list shows of a person today (人员卡片), derived from the record whenever it changes."""

    person = models.CharField("编号", max_length=80, primary_key=True)
    name = models.CharField("姓名", max_length=120, db_index=True)
    pinyin = models.CharField(max_length=200, db_index=True)
    initials = models.CharField(max_length=40, db_index=True)
    former = models.CharField("曾用名", max_length=300, blank=True)
    sex = models.CharField("性别", max_length=10, blank=True)
    birth = models.CharField("出生", max_length=10, blank=True)
    ethnic_group = models.CharField("民族", max_length=30, blank=True)
    political_status = models.CharField("政治面貌", max_length=30, blank=True)
    education = models.CharField("最高学历", max_length=60, blank=True)
    post = models.TextField("现任职务", blank=True)
    node = models.ForeignKey(UnitNode, models.SET_NULL, null=True, related_name="cards", verbose_name="机构")
    level = models.CharField("职务层次", max_length=60, blank=True)
    rank = models.CharField("职级", max_length=60, blank=True)
    management = models.CharField("管理类别", max_length=60, blank=True, db_index=True)
    status = models.CharField("管理状态", max_length=30, blank=True)
    completeness = models.IntegerField("完整度", default=0)
    number_mark = models.CharField(max_length=32, blank=True, db_index=True)
    tail_mark = models.CharField(max_length=32, blank=True, db_index=True)
    place = models.CharField("排序", max_length=120, db_index=True)


class Seat(models.Model):
    """A unit in which a person has a post today (任职机构), derived."""

    card = models.ForeignKey(Card, models.CASCADE, related_name="seats")
    node = models.ForeignKey(UnitNode, models.CASCADE, related_name="seats")
    team = models.CharField(max_length=80, blank=True, db_index=True)


class Photo(models.Model):
    """A portrait (照片) as it came; the one recorded last holds."""

    person = models.CharField("编号", max_length=80, db_index=True)
    image = models.BinaryField()
    kind = models.CharField(max_length=20)
    change = models.ForeignKey(Change, models.PROTECT, related_name="+")


class ImportBatch(models.Model):
    """An import from reading to undoing (导入批次)."""

    STATES = ("waiting", "reading", "ready", "applying", "applied", "undone", "failed", "dropped")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField("时间", auto_now_add=True)
    title = models.CharField("名称", max_length=200)
    folder = models.CharField(max_length=300)
    state = models.CharField(max_length=12, default="waiting")
    prefer_new = models.BooleanField("与原记录不同时按文件", default=False)
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    told = models.TextField("说明", blank=True)
    counts = models.JSONField(default=dict)
    change = models.ForeignKey(Change, models.PROTECT, null=True, related_name="+")


class ImportItem(models.Model):
    """One file or row of a batch (导入项): whom it is about, and what it would change, field by field."""

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="items")
    file = models.CharField("文件", max_length=300)
    name = models.CharField("姓名", max_length=120, blank=True)
    person = models.CharField("人员", max_length=80, blank=True)
    state = models.CharField(max_length=12)
    candidates = models.JSONField(default=list)
    rows = models.JSONField(default=dict)
    differences = models.JSONField(default=list)
    photo = models.BinaryField(null=True)


class ImportIssue(models.Model):
    """A remark on one field of one file (导入问题)."""

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="issues")
    file = models.CharField(max_length=300)
    line = models.IntegerField(default=0)
    field = models.CharField(max_length=100)
    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=10)
    message = models.TextField()
    raw = models.TextField(blank=True)
    normalised = models.TextField(blank=True)


class SavedQuery(models.Model):
    """A query somebody kept (查询方案), for themselves or for all who may query."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField("名称", max_length=100)
    condition = models.TextField("条件")
    shared = models.BooleanField("共享", default=False)
    made_at = models.DateTimeField(auto_now_add=True)


class Handout(models.Model):
    """A large export being made in the background (成批导出), for whoever asked; its file is kept for some days."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    made_at = models.DateTimeField("时间", auto_now_add=True)
    kind = models.CharField("种类", max_length=20)
    people = models.JSONField(default=list)
    seen = models.JSONField(default=list)
    state = models.CharField(max_length=10, default="waiting", db_index=True)
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    file = models.CharField(max_length=60, blank=True)
    told = models.TextField("说明", blank=True)


class Request(models.Model):
    """A wish to correct a field (更正申请), decided by the section."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    person = models.CharField("人员", max_length=80, db_index=True)
    register = models.CharField(max_length=60)
    identity = models.CharField(max_length=80, blank=True)
    values = models.JSONField("改为")
    reason = models.TextField("理由")
    state = models.CharField(max_length=10, default="open", db_index=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField("答复", blank=True)
    change = models.ForeignKey(Change, models.PROTECT, null=True, related_name="+")


class Setting(models.Model):
    """A setting of this department (设置), such as the packs it has adopted."""

    name = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField()
