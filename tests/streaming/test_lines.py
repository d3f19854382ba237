"""RTP packets in whatever bursts they come: nothing depends on where a burst is cut."""

import random
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.media import Unit
from streaming.sources import lines
from streaming.sources.lines import RtpLine
from tests.streaming.film import Film, make_film, shuffled_within

FILM = make_film(20)
PACKETS = [packet for packets in FILM.packets(300) for packet in packets]


def units(packets: list[bytes], cuts: list[int]) -> tuple[list[Unit], dict[str, int]]:
    found: list[Unit] = []
    line = RtpLine(lines.pictures(), found.append)
    places = sorted({0, len(packets), *(cut % len(packets) for cut in cuts)})
    for begin, end in pairwise(places):
        line.take(packets[begin:end])
    return [unit._replace(received=0.0) for unit in found], line.figures()


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what a busy machine does to these tests would count as the network's delay."""
    monkeypatch.setattr(lines, "time", SimpleNamespace(time=lambda: 1_700_000_000.0))


def one_by_one(packets: list[bytes]) -> tuple[list[Unit], dict[str, int]]:
    return units(packets, list(range(len(packets))))


@pytest.fixture(scope="module")
def film() -> Film:
    return FILM


def test_a_whole_film_in_one_burst_is_the_film():
    found, figures = units(PACKETS, [])
    assert len(found) == 20
    assert found == one_by_one(PACKETS)[0]
    assert (figures["lost"], figures["dropped"], figures["malformed"]) == (0, 0, 0)


@given(
    st.lists(st.integers(0, 10**6), max_size=30), st.integers(0, 2**32), st.sampled_from(["whole", "lossy", "mixed"])
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_does_not_matter_how_packets_are_bundled(cuts: list[int], seed: int, kind: str):
    dice = random.Random(seed)
    packets = PACKETS
    if kind == "lossy":
        packets = [packet for packet in PACKETS if dice.random() > 0.02 or packet is PACKETS[-1]]
    elif kind == "mixed":
        packets = shuffled_within(PACKETS, 6, seed)
    assert units(packets, cuts) == one_by_one(packets)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_packet_of_another_stream_or_a_damaged_one_among_them_changes_nothing(seed: int):
    dice = random.Random(seed)
    packets = list(PACKETS)
    strangers = 0
    for _ in range(10):
        packet = dice.choice(PACKETS)
        stranger = packet[:1] + bytes((packet[1] & 0x80 | 55,)) + packet[2:]
        packets.insert(dice.randrange(len(packets)), dice.choice((stranger, packet[: dice.randrange(12)])))
        strangers += 1
    found, figures = units(packets, [])
    assert found == one_by_one(PACKETS)[0]
    assert figures["foreign"] + figures["malformed"] == strangers
