"""The web app (网页)."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages, layout and static files."""

    name = "ganbu.web"
    verbose_name = "网页"
