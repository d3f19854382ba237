"""The production shape, as far as it can be checked without a container engine: names, ports, users, commands agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("prepare", "web-1", "web-2", "worker", "beat", "intake")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_all_parts_are_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, "postgres", "redis", "proxy"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_as_little_as_possible(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER vms" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["web-1", "web-2", "worker", "beat", "postgres", "redis"])
def test_whatever_can_be_ill_is_checked(compose: dict[str, Any], name: str) -> None:
    assert compose["services"][name]["healthcheck"]["test"]


def test_each_web_replica_receives_on_ports_of_its_own(compose: dict[str, Any]) -> None:
    seen: set[int] = set()
    for name in ("web-1", "web-2"):
        service = compose["services"][name]
        ports = service["environment"]["RTP_PORTS"]
        low, high = map(int, ports.split("-"))
        assert service["ports"] == [f"{ports}:{ports}/udp"]
        assert seen.isdisjoint(range(low, high + 1))
        seen.update(range(low, high + 1))
        assert f"{name}:8000" in (ROOT / "docs" / "proxy" / "Caddyfile").read_text()


def test_nothing_starts_before_the_database_is_prepared(compose: dict[str, Any]) -> None:
    for name in ("web-1", "web-2", "worker", "beat", "intake"):
        needs = compose["services"][name]["depends_on"]
        assert needs["prepare"] == {"condition": "service_completed_successfully"}
        assert needs["redis"] == {"condition": "service_healthy"}


def test_every_secret_has_to_be_given(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert required == {"SECRET_KEY", "POSTGRES_PASSWORD", "SITE_HOST", "PUBLIC_ADDRESS"}
    assert all(re.search(rf"^{name}=", example, re.MULTILINE) for name in required)


def test_the_image_holds_every_room_and_no_test() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert copied == {*rooms, "templates", "static"}
