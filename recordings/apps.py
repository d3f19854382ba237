from django.apps import AppConfig


class RecordingsConfig(AppConfig):
    name = "recordings"

    def ready(self) -> None:
        """Whoever runs jobs must know their kinds."""
        from recordings import clips  # noqa: F401
