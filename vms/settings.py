"""Every setting of the product, in reading order. Values come from the environment; the defaults are safe ones.

Variables are described in docs/operating.md. State lives under DATA_DIR and nowhere else.
"""

import os
import socket
from pathlib import Path

import dj_database_url
from celery.schedules import crontab

from vms import environment as env

# What any process of ours writes is for this user alone: the database holds sessions, the log may hold names.
os.umask(0o077)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.data_dir()
VERSION = "0.1.0"

# --- Safety -----------------------------------------------------------------------------------------------------------
SECRET_KEY = env.secret_key(DATA_DIR)
# Earlier keys: device secrets and sessions made with them can still be read, new ones use SECRET_KEY.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
DEBUG = env.flag("DEBUG", False)

HOST = env.text("HOST", "127.0.0.1")
PORT = env.number("PORT", 8000, 1, 65535)
PUBLIC_ADDRESS = env.text("PUBLIC_ADDRESS")
# Without ALLOWED_HOSTS the product answers to this machine's own names only.
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or sorted(
    {"localhost", "127.0.0.1", "[::1]", socket.gethostname().lower(), HOST, PUBLIC_ADDRESS} - {"", "0.0.0.0", "::"}  # noqa: S104 — left out, not bound
)
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# Addresses of the reverse proxies whose X-Forwarded-* headers are believed; none by default.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
HTTPS_ONLY = env.flag("HTTPS_ONLY", False)  # the site is reached through TLS only, as in docker-compose.yml
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

# --- The rooms --------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "django_htmx",
    "accounts",
    "devices",
    "streaming",
    "recordings",
    "vms",
]
MIDDLEWARE = [
    "vms.middleware.RequestContext",
    "vms.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.Account",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "vms.urls"
ASGI_APPLICATION = "vms.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "vms.pages.shell",
            ]
        },
    }
]

# --- Data -------------------------------------------------------------------------------------------------------------
DATABASE_URL = env.url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'vms.sqlite3'}", ("sqlite", "postgres", "postgresql"))
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=0)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Three processes write. Taking the write lock at BEGIN and waiting for it is what keeps "database is locked" away;
    # WAL lets readers go on meanwhile. No ATOMIC_REQUESTS: it would hold the lock while a page renders.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.redis_url(DATA_DIR)

# --- Accounts ---------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
CSRF_FAILURE_VIEW = "vms.pages.csrf_failure"
# A wall is never logged out for want of clicks: accounts.middleware renews a session past half its life, and every open
# page asks for something more often than that.
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "accounts.requests.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AUDIT_DAYS = env.number("AUDIT_DAYS", 0, 0, 36500)  # 0: the audit is kept for ever
EVENT_DAYS = env.number("EVENT_DAYS", 90, 0, 36500)  # what happened to devices; 0: for ever
HISTORY_DAYS = env.number("HISTORY_DAYS", 30, 0, 36500)  # how devices were; 0: for ever
AXES_DISABLE_ACCESS_LOG = True  # who signed in when is in the audit

# --- Limits -----------------------------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # the largest request body: a CSV of a fleet
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# --- Pages ------------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # served straight from static/: nothing to collect before the first start
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

# --- Background work --------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "devices.tasks.poll*": {"queue": "poll"},
    "devices.tasks.keep_uids*": {"queue": "uids"},
    "devices.tasks.stop_cameras": {"queue": "uids"},
    "recordings.tasks.*": {"queue": "jobs"},
    "streaming.tasks.*": {"queue": "jobs"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat")
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "vms.tasks.heartbeat", "schedule": 5.0, "options": {"expires": 10}},
    "tidy": {"task": "vms.tasks.tidy", "schedule": crontab(hour="3", minute="17")},
    "poll": {"task": "devices.tasks.poll_due", "schedule": 1.0, "options": {"expires": 2}},
    "forget": {"task": "devices.tasks.forget_old", "schedule": crontab(hour="3", minute="27")},
    "snapshots": {"task": "devices.tasks.snapshot_nightly", "schedule": crontab(hour="2", minute="40")},
    "stop-cameras": {"task": "devices.tasks.stop_cameras", "schedule": 1.0, "options": {"expires": 2}},
    "await-returns": {"task": "devices.tasks.await_returns", "schedule": 5.0, "options": {"expires": 10}},
    "jobs": {"task": "recordings.tasks.tend_jobs", "schedule": 2.0, "options": {"expires": 4}},
    "forget-jobs": {"task": "recordings.tasks.forget_old", "schedule": crontab(hour="3", minute="37")},
    "learn-formats": {"task": "streaming.tasks.learn_formats", "schedule": 10.0, "options": {"expires": 10}},
    "keep-uids": {"task": "devices.tasks.keep_uids_alive", "schedule": 5.0, "options": {"expires": 10}},
}

JOBS_KEPT_DAYS = 90  # after their end

# --- Media and intake -------------------------------------------------------------------------------------------------
RTP_PORTS = env.port_range("RTP_PORTS", "40000-40999")
FTP_PORT = env.number("FTP_PORT", 2121, 1, 65535)
FTP_PASSIVE_PORTS = env.port_range("FTP_PASSIVE_PORTS", "41000-41099")
SMTP_PORT = env.number("SMTP_PORT", 2525, 1, 65535)

# --- Log --------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOG_FORMAT = env.choice("LOG_FORMAT", "line", ("line", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "context": {"()": "vms.logs.Context"},
        "probes": {"()": "vms.logs.NotProbes"},
        "refusals": {"()": "vms.logs.PlainRefusals"},
    },
    "formatters": {"line": {"()": "vms.logs.LineFormatter"}, "json": {"()": "vms.logs.JsonFormatter"}},
    "handlers": {
        "out": {
            "class": "logging.StreamHandler",
            "filters": ["context"],
            "formatter": LOG_FORMAT,
        }
    },
    "root": {"handlers": ["out"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"filters": ["probes", "refusals"]},
        "django.security": {"filters": ["refusals"]},
        "django.security.DisallowedHost": {"filters": ["refusals"]},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "celery": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        "kombu": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
        "uvicorn.error": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        "django.server": {"level": "WARNING"},
    },
}
