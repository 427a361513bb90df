"""Runs (评估) and the findings people act on (结论): everything else of a run is computed again when asked for."""

from __future__ import annotations

from django.db import models


class EvaluationRun(models.Model):
    """A run of adopted packs on a day (评估); `change` is the last change of the record it saw.

    `kept` lists pack, policy, rows and fingerprint of what lies as Parquet in `runs/` of the data folder; `rules` are
    the fingerprints of the packs.
    """

    made_at = models.DateTimeField("时间", auto_now_add=True)
    as_of = models.DateField("基准日")
    known_at = models.DateTimeField("已知时点")
    packs = models.JSONField("规则包")
    change = models.IntegerField(default=0)
    subjects = models.IntegerField(default=0)
    seconds = models.FloatField(default=0)
    skipped = models.JSONField("未运行", default=list)
    counts = models.JSONField("各规则结果数", default=list)
    kept = models.JSONField("全部结果", default=list)
    rules = models.JSONField("规则包指纹", default=dict)

    class Meta:
        verbose_name = "评估"
        ordering = ("-id",)


class Finding(models.Model):
    """What a policy says of a subject (结论)."""

    run = models.ForeignKey(EvaluationRun, models.CASCADE, related_name="findings")
    pack = models.CharField("规则包", max_length=120)
    policy = models.CharField("规则", max_length=120)
    register = models.CharField(max_length=60)
    subject = models.CharField("对象", max_length=120)
    name = models.CharField("名称", max_length=120, blank=True)
    outcome = models.CharField("结果", max_length=60)
    due = models.CharField("期限", max_length=10, blank=True)
    grounds = models.TextField("依据", blank=True)
    missing = models.TextField("缺少", blank=True)
    reads = models.CharField("所依据的敏感登记表", max_length=300, blank=True)

    class Meta:
        verbose_name = "结论"
        indexes = (
            models.Index(fields=["run", "register", "subject"], name="finding_of"),
            models.Index(fields=["run", "policy", "outcome"], name="finding_by"),
        )
