"""Django settings (设置), all from the environment; safe as they stand. `docs/operations.md` lists every variable."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ganbu.access.secrets import secret_text
from ganbu.errors import MisuseError

HOME = Path(os.environ.get("GANBU_HOME", "ganbu-data")).absolute()
KEYS = Path(os.environ.get("GANBU_KEYS", str(HOME / "keys"))).absolute()


def _flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "yes" if default else "no").lower() in ("1", "yes", "true", "on")


def database(url: str) -> dict[str, object]:
    """Django's entry for a `DATABASE_URL`: `sqlite:///path` or `postgresql://user:password@host:port/name`.

    >>> database("postgresql://li:x%40y@127.0.0.1/ganbu")["PASSWORD"]
    'x@y'
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path[1:]),
            "OPTIONS": {
                # What REPLACE takes out asks the trigger on deletion too. A writer takes the lock when it begins, so that two never wait for each other half-way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA recursive_triggers=ON; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;",
            },
        }
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path[1:]),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 600,
            "OPTIONS": dict(parse_qsl(parts.query)),
        }
    raise MisuseError(f"DATABASE_URL“{parts.scheme}://…”应以 sqlite:/// 或 postgresql:// 开头")


DATABASE_URL = os.environ.get("DATABASE_URL", f"sqlite:///{HOME / 'ganbu.sqlite3'}")
DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DEBUG = False
SECRET_KEY = os.environ.get("GANBU_SECRET_KEY") or secret_text(KEYS / "secret-key")
ALLOWED_HOSTS = os.environ.get("GANBU_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("GANBU_ORIGINS", "").split(",") if o]
DEMO = (HOME / ".ganbu-demo").exists()

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "csp",
    "ganbu.access",
    "ganbu.records",
    "ganbu.findings",
    "ganbu.web",
]
MIDDLEWARE = [
    "ganbu.access.middleware.BehindProxy",
    "ganbu.access.middleware.SlowQueries",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "ganbu.access.middleware.ClosedDoors",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "ganbu.web.urls"
WSGI_APPLICATION = "ganbu.web.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "ganbu.web.context.layout",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "ganbu.web.templatetags.ganbu",
            ],
        },
    }
]

AUTH_USER_MODEL = "access.Account"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL, LOGIN_REDIRECT_URL = "login", "home"
OTP_TOTP_ISSUER = "Ganbu"
# Who must give a second factor: everybody outside the demonstration.
SECOND_FACTOR = _flag("GANBU_SECOND_FACTOR", not DEMO)
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_USERNAME_CALLABLE = "ganbu.access.views.login_name"
AXES_LOCKOUT_CALLABLE = "ganbu.access.views.locked_out"
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 8 * 3600
SESSION_IDLE_MINUTES = 30
SESSIONS_PER_ACCOUNT = 2
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
HTTPS = _flag("GANBU_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
BEHIND_PROXY = _flag("GANBU_BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "中文"), ("en", "English")]
LOCALE_PATHS = [Path(__file__).parent / "web" / "locale"]
USE_I18N = True
TIME_ZONE, USE_TZ = "Asia/Shanghai", False  # the record keeps local time; China has one zone

STATIC_URL = "/static/"
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
UPLOAD_LIMIT = 512 * 1024 * 1024
UPLOADS_AT_ONCE = 20_000
DATA_UPLOAD_MAX_NUMBER_FILES = UPLOADS_AT_ONCE

SLOW_QUERY_MS = float(os.environ.get("GANBU_SLOW_QUERY_MS", "0"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
