"""The Celery application. It is named on the command line (`-A vms.celery`), never imported by `vms/__init__.py`, so
that the supervisor and the web process do not pay for it at import."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")

app = Celery("vms")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
