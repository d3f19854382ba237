import pytest

from tests.streaming.film import Film, make_film


@pytest.fixture(scope="session")
def film() -> Film:
    """Four seconds at 15 pictures per second."""
    return make_film(60)
