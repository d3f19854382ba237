"""Where the tests keep their state. Loaded by pytest before Django reads its settings (see `-p` in pyproject.toml)."""

import atexit
import os
import shutil
import tempfile

_state = tempfile.mkdtemp(prefix="vms-tests-")
atexit.register(shutil.rmtree, _state, ignore_errors=True)

os.environ["DATA_DIR"] = _state
os.environ["SECRET_KEY"] = "a key for tests only, long enough to be one 0123456789"
for name in ("REDIS_URL", "ALLOWED_HOSTS", "HOST", "PORT", "DEMO", "VMS_ADMIN_USER", "VMS_ADMIN_PASSWORD", "LOG_LEVEL"):
    os.environ.pop(name, None)
os.environ["ALLOWED_HOSTS"] = "localhost,127.0.0.1,testserver"
# Playwright's and Channels' helpers run an event loop around synchronous database calls of the tests themselves.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
