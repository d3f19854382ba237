"""The Celery application. It is named on the command line (`-A vms.celery`), never imported by `vms/__init__.py`, so
that the supervisor and the web process do not pay for it at import."""

import os
import threading
import warnings

from celery import Celery
from celery.signals import worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")

# Said by `manage.py doctor` instead, in one line.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

app = Celery("vms")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# A worker that cannot finish (its Redis is gone, a task hangs) must not stay behind. Tasks are acknowledged late, so
# what is cut off here is done again by the next worker.
GIVE_UP_SECONDS = 4.0


@worker_shutting_down.connect
def give_up_in_time(**_: object) -> None:
    timer = threading.Timer(GIVE_UP_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
