# One image for every part: the compose file says which part a container is.
FROM python:3.12-slim-bookworm

RUN groupadd --system --gid 10001 vms && useradd --system --uid 10001 --gid vms --home-dir /app vms \
    && install -d -o vms -g vms -m 700 /data

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY manage.py ./
COPY vms vms
COPY accounts accounts
COPY devices devices
COPY streaming streaming
COPY recordings recordings
COPY simulators simulators
COPY templates templates
COPY static static

ENV DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=vms.settings LOG_FORMAT=json
USER vms
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "vms.web"]
