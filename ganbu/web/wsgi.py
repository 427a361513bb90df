"""The application for a web server (WSGI 入口)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ganbu.settings")
application = get_wsgi_application()
