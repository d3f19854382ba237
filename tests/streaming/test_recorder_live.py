"""From a strict simulated i-PRO recorder to fragments: by RTP and over HTTP, in either codec, all given back."""

import asyncio
import io
from collections.abc import AsyncIterator

import av
import pytest
from asgiref.sync import sync_to_async

from devices.models import Camera
from simulators.ipro import IproSimulator
from simulators.picture import read_strip
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import open as opening
from streaming.viewer import Init
from tests.streaming.seeing import pieces, until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

H264, H265 = 1, 4  # cameras of the simulated recorder


@pytest.fixture
async def recorder() -> AsyncIterator[IproSimulator]:
    async with IproSimulator(seed=3, size="320x192") as recorder:
        yield recorder
        assert list(recorder.violations) == []


@pytest.fixture
async def relays(recorder: IproSimulator) -> AsyncIterator[Relays]:
    """Closed while the recorder still answers."""
    relays = Relays(Timing(silence=1.0, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()


@pytest.fixture
def camera_of(recorder: IproSimulator, new_camera, monkeypatch):
    # Enough for a simulated camera.
    monkeypatch.setattr(opening, "FIRST_PICTURE_SECONDS", 2.5)
    monkeypatch.setattr(opening, "FIRST_PACKET_SECONDS", 1.5)

    async def make(number: int, fixed: str = "auto", /, **learned: object) -> Camera:
        camera = await sync_to_async(new_camera)(
            f"Camera {number}",
            family="ipro",
            host="127.0.0.1",
            port=recorder.port,
            username="ADMIN",
            password="12345",
            status={"channels": 16},
            options={"transport": fixed, "tls": "off"},
        )
        camera.number, camera.learned = number, {"video": learned} if learned else {}
        await camera.asave()
        return camera

    return make


def numbers(init: Init, parts: list[Fragment]) -> list[int]:
    found = []
    with av.open(io.BytesIO(init.segment + b"".join(part.data for part in parts))) as container:
        for frame in container.decode(video=0):
            strip = read_strip(frame.to_image())
            assert strip is not None
            found.append(strip[1])
    return found


@pytest.mark.parametrize("transport", ["rtp", "http"])
@pytest.mark.parametrize(("number", "codec"), [(H264, "h264"), (H265, "h265")])
async def test_pictures_arrive_whole_and_in_order_and_the_uid_is_given_back(
    relays: Relays, recorder: IproSimulator, camera_of, transport: str, number: int, codec: str
):
    camera = await camera_of(number, transport, codec=codec, transport=transport)
    with watch(relays, camera, "video") as viewer:
        init, parts = await pieces(viewer, 25)
        assert init.track.kind == codec
        seen = numbers(init, parts)
        assert len(seen) >= 23  # the last ones may wait in the decoder
        assert seen == sorted(set(seen))
    await until(lambda: not relays.figures())
    assert list(recorder.sessions()) == []


async def test_a_codec_that_nobody_knows_is_found_out_and_remembered(
    relays: Relays, recorder: IproSimulator, camera_of
):
    """The recorder says yes to the wrong one too, and sends nothing."""
    camera = await camera_of(H264)
    with watch(relays, camera, "video") as viewer:
        await pieces(viewer, 3)
    await camera.arefresh_from_db()
    assert camera.learned["video"] == {"codec": "h264", "width": 320, "height": 192, "transport": "rtp"}
    assert opening.candidates(camera, opening.streams_of(camera)[0])[0].codec == "h264"
    await until(lambda: not relays.figures())


async def test_where_no_packet_gets_through_pictures_come_over_http(
    relays: Relays, recorder: IproSimulator, camera_of, monkeypatch
):
    async def elsewhere(host: str) -> frozenset[str]:
        return frozenset({"192.0.2.1"})

    # What comes from the recorder is nobody's then, as behind a router that lets nothing through.
    monkeypatch.setattr("streaming.sources.rtp_udp.addresses_of", elsewhere)
    camera = await camera_of(H264, codec="h264", transport="rtp")
    with watch(relays, camera, "video") as viewer:
        await pieces(viewer, 3, seconds=60)
    await camera.arefresh_from_db()
    assert camera.learned["video"]["transport"] == "http"
    await until(lambda: not relays.figures())


async def test_many_cameras_share_one_uid(relays: Relays, recorder: IproSimulator, camera_of):
    first = await camera_of(H264, "rtp", codec="h264", transport="rtp")
    learned = {"video": {"codec": "h265", "transport": "rtp"}}
    second = await Camera.objects.acreate(device=first.device, number=H265, name="Another", learned=learned)
    with watch(relays, first, "video") as one, watch(relays, second, "video") as two:
        await asyncio.gather(pieces(one, 2), pieces(two, 2))
        assert len(list(recorder.sessions())) == 1
    await until(lambda: not relays.figures())
    assert list(recorder.sessions()) == []
