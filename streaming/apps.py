from django.apps import AppConfig


class StreamingConfig(AppConfig):
    name = "streaming"

    def ready(self) -> None:
        from streaming import thumbnails  # noqa: F401 — it listens to what happens to presets
