"""Every way in which a strict simulated POVCAM sends pictures: opened, decoded in order, and given back."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from fractions import Fraction

import pytest
from asgiref.sync import sync_to_async
from PIL import Image

from devices import uids
from devices.models import Camera
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.video import VideoFormat
from streaming.relay import Relays, Timing
from streaming.ring import Fragment
from streaming.sources import SourceRefused
from streaming.sources import open as opening
from streaming.viewer import Init, State, Viewer
from tests.simulators.helpers import Client
from tests.streaming.film import numbers_seen
from tests.streaming.seeing import pieces, state, stuck, until, watch

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.one_database,
    pytest.mark.usefixtures("redis_client"),
]

STREAMS = {1: VideoFormat(640, 360, Fraction(15), 1000), 2: VideoFormat(320, 180, Fraction(15), 500)}
MakeCamera = Callable[..., Awaitable[Camera]]


@pytest.fixture
async def recorder() -> AsyncIterator[PovcamSimulator]:
    async with PovcamSimulator(seed=7, streams=STREAMS) as recorder:
        yield recorder
        assert list(recorder.violations) == []
        assert list(recorder.sessions()) == []
        assert recorder.state()["rtsp"]["sessions"] == []


@pytest.fixture
async def relays(recorder: PovcamSimulator) -> AsyncIterator[Relays]:
    """Closed while the recorder still answers."""
    relays = Relays(Timing(silence=1.5, linger=0.05, first_retry=0.05, tick=0.05))
    yield relays
    await relays.close_all()
    assert await uids.leases() == []


def told(delivery: str = "uni") -> dict[str, object]:
    """What the recorder would have told of itself when it was last asked."""
    return {
        "streams": {
            "h264": {"transmits": True, "width": 640, "max_fps": 15, "delivery": delivery},
            "h264_2": {"transmits": True, "width": 320, "max_fps": 15, "delivery": delivery},
        },
        "audio_on": True,
    }


@pytest.fixture
def camera_of(recorder: PovcamSimulator, new_camera) -> MakeCamera:
    async def make(transport: str = "auto", *, delivery: str = "uni", **fields: object) -> Camera:
        rtsp_port = int(recorder.rtsp_url.split(":")[2].partition("/")[0])
        return await sync_to_async(new_camera)(
            f"Camera {transport}",
            **{
                "host": "127.0.0.1",
                "port": recorder.port,
                "username": "admin",
                "password": "12345",
                "status": told(delivery),
                "options": {"transport": transport, "rtsp_port": rtsp_port},
                **fields,
            },
        )

    return make


def numbers(init: Init, parts: list[Fragment]) -> list[int]:
    return numbers_seen(init.segment + b"".join(part.data for part in parts))


def in_order(found: list[int]) -> bool:
    """No picture twice or out of its place. (A recorder on a busy machine leaves numbers out itself.)"""
    return found == sorted(set(found))


def free_pair(plus: int = 0) -> int:
    """An even port that is free, and its neighbour, and the pair that many ports higher."""
    for port in range(41_200, 49_000, 2):
        wanted = (port, port + 1, port + plus, port + plus + 1) if plus else (port, port + 1)
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in wanted]
        try:
            for each, number in zip(sockets, wanted, strict=True):
                each.bind(("", number))
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
        return port
    raise AssertionError("no free ports")


def remark(relays: Relays, camera: Camera) -> str:
    """What is said of a stream that runs."""
    status = relays.status(camera.pk, "h264")
    return status.detail if status is not None and status.state is State.LIVE else ""


async def more(viewer: Viewer, count: int) -> None:
    """So many pictures more, whatever else is told between."""
    async with asyncio.timeout(30):
        while count:
            count -= isinstance(await viewer.next(), Fragment)


async def sent_by(recorder: PovcamSimulator, delivery: str) -> None:
    """Set how the recorder sends both its streams, as its administrator would."""
    client = Client(recorder)
    for command, group in (("set_h264", "239.192.7.1"), ("set_h264_2", "239.192.7.2")):
        video = free_pair(1000)
        if delivery == "multi":
            values = f"multicast_addr={group}&multicast_port={video}&multicast_ttl=1"
        else:
            values = f"unicast_port={video}&unicast_audio_port={free_pair() + 40}"
        await client.set(f"{command}?h264_unimulti={delivery}&{values}")
        await asyncio.sleep(0.2)  # as long as two commands are to be apart


def asked(recorder: PovcamSimulator) -> list[str]:
    """Methods of RTSP and paths of CGI, in their order."""
    all_of_them = [
        each.method if each.target.startswith("rtsp:") else each.target.partition("?")[0].rpartition("/")[2]
        for each in recorder.requests
    ]
    return [each for each in all_of_them if not each.startswith("set_")]


SESSION = ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
BY_CGI = ["getuid", "h264", "h264"]


@pytest.mark.parametrize(
    ("transport", "delivery", "order"),
    [
        ("rtp", "uni", BY_CGI),
        ("rtp", "uni_manual", BY_CGI),
        ("rtp-multicast", "multi", BY_CGI),
        ("rtsp-tcp", "uni", SESSION),
        ("rtsp-udp", "uni", SESSION),
        ("rtsp-udp", "uni_manual", SESSION),
        ("rtsp-multicast", "multi", SESSION),
    ],
)
async def test_pictures_arrive_whole_and_in_order_and_everything_is_given_back(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, transport: str, delivery: str, order: list[str]
):
    if delivery != "uni":
        await sent_by(recorder, delivery)
    camera = await camera_of(transport, delivery=delivery)
    with watch(relays, camera, "h264") as viewer:
        init, parts = await pieces(viewer, 25)
        assert (init.track.kind, init.track.width) == ("h264", 640)
        seen = numbers(init, parts)
        assert len(seen) >= 24
        assert in_order(seen)
        figures = relays.figures()[camera.pk, "h264"]
        assert figures["upstream_lost"] == figures["upstream_malformed"] == 0
    await until(lambda: not relays.figures())
    assert asked(recorder) == order


@pytest.mark.parametrize("transport", ["rtp", "rtsp-tcp", "rtsp-udp"])
async def test_both_streams_at_once(relays: Relays, camera_of: MakeCamera, transport: str):
    camera = await camera_of(transport)
    with watch(relays, camera, "h264") as large, watch(relays, camera, "h264_2") as small:
        (init, parts), (small_init, small_parts) = await asyncio.gather(pieces(large, 10), pieces(small, 10))
    assert (init.track.width, small_init.track.width) == (640, 320)
    assert in_order(numbers(init, parts))
    assert in_order(numbers(small_init, small_parts))
    await until(lambda: not relays.figures())


async def test_motion_jpeg_needs_no_uid(relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera):
    camera = await camera_of("mjpeg")
    with watch(relays, camera, "mjpeg") as viewer:
        _, parts = await pieces(viewer, 8)
        seen = [_number(part.content) for part in parts]
        assert seen == sorted(seen)  # a busy camera may send one twice
    await until(lambda: not relays.figures())
    assert asked(recorder) == ["mjpeg"]


async def test_where_motion_jpeg_without_a_uid_is_refused_it_comes_with_one(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    recorder.inject("status", path="/cgi-bin/mjpeg", status=404, times=0)
    camera = await camera_of("mjpeg")
    with watch(relays, camera, "mjpeg") as viewer:
        _, parts = await pieces(viewer, 8)
        seen = [_number(part.content) for part in parts]
        assert seen == sorted(seen)
        assert [lease.mode for lease in await uids.leases()] == ["jpeg"]
    await until(lambda: not relays.figures())
    assert asked(recorder) == ["mjpeg", "getuid", "jpeg", "jpeg"]


async def test_motion_jpeg_with_a_uid_can_be_fixed(relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera):
    camera = await camera_of("jpeg")
    assert [each.id for each in opening.streams_of(camera)] == ["mjpeg"]
    with watch(relays, camera, "mjpeg") as viewer:
        _, parts = await pieces(viewer, 8)
        seen = [_number(part.content) for part in parts]
        assert seen == sorted(seen)
    await until(lambda: not relays.figures())
    assert asked(recorder) == ["getuid", "jpeg", "jpeg"]


async def test_stills_by_camera_can_be_fixed(relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera):
    camera = await camera_of("camera")
    with watch(relays, camera, "stills") as viewer:
        _, parts = await pieces(viewer, 3)
        assert in_order([_number(part.content) for part in parts])
    await until(lambda: not relays.figures())
    assert set(asked(recorder)) == {"camera"}


async def test_stills_are_started_once(relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera):
    camera = await camera_of("stills")
    with watch(relays, camera, "stills") as viewer:
        _, parts = await pieces(viewer, 3)
        seen = [_number(part.content) for part in parts]
        assert in_order(seen)
    await until(lambda: not relays.figures())
    assert [each.target.partition("?")[2].partition("&")[0] for each in recorder.requests][:3] == [
        "action=start",
        "action=snapshot",
        "action=snapshot",
    ]


async def test_stills_go_on_after_the_recorder_was_switched_off_and_on(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    camera = await camera_of("stills")
    with watch(relays, camera, "stills") as viewer:
        await pieces(viewer, 1)
        recorder.reboot(0.5)
        await more(viewer, 3)
    starts = [each for each in recorder.requests if "action=start" in each.target]
    assert len(starts) > 1


async def test_where_no_packet_gets_through_pictures_come_by_tcp_and_that_is_said(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, nothing_by_udp: None
):
    camera = await camera_of()
    with watch(relays, camera, "h264") as viewer:
        await pieces(viewer, 3, seconds=60)
        await until(lambda: "UDP" in remark(relays, camera))
    await until(lambda: not relays.figures())
    await camera.arefresh_from_db()
    assert camera.learned["h264"]["transport"] == "rtsp-tcp"
    # The next time it is tried first, and told at once.
    assert opening.streams_of(camera)[0].transport == "rtsp-tcp"
    before = len(asked(recorder))
    with watch(relays, camera, "h264") as viewer:
        await pieces(viewer, 1)
    await until(lambda: not relays.figures())
    assert asked(recorder)[before:] == SESSION


@pytest.fixture
def nothing_by_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from the recorder is nobody's then, as behind a router that lets nothing through."""

    async def elsewhere(host: str) -> frozenset[str]:
        return frozenset({"192.0.2.1"})

    monkeypatch.setattr("streaming.sources.rtp_udp.addresses_of", elsewhere)
    monkeypatch.setattr(opening, "FIRST_PACKET_SECONDS", 1.0)


async def ways(camera: Camera) -> list[str]:
    await camera.arefresh_from_db()
    return [each.transport for each in opening.candidates(camera, opening.streams_of(camera)[0])]


async def test_where_only_http_gets_through_pictures_are_motion_jpeg_and_better_ones_are_tried_again_later(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, nothing_by_udp: None
):
    camera = await camera_of(options={"transport": "auto", "rtsp_port": free_pair()})
    with watch(relays, camera, "h264") as viewer:
        init, _ = await pieces(viewer, 3, seconds=60)
        assert init.track.kind == "jpeg"
        await until(lambda: "motion JPEG" in remark(relays, camera))
    await until(lambda: not relays.figures())
    assert await ways(camera) == ["mjpeg", "rtp", "rtsp-tcp"]
    # The next time it comes at once, and is said all the same.
    before = len(asked(recorder))
    with watch(relays, camera, "h264") as viewer:
        await pieces(viewer, 1)
        await until(lambda: "motion JPEG" in remark(relays, camera))
    await until(lambda: not relays.figures())
    assert asked(recorder)[before:] == ["mjpeg"]
    camera.learned["h264"]["until"] -= opening.LESSER_SECONDS
    await camera.asave()
    assert await ways(camera) == ["rtp", "rtsp-tcp", "mjpeg"]


@pytest.mark.parametrize(
    ("method", "status"), [("DESCRIBE", 403), ("PLAY", 454), ("SETUP", 501), ("SETUP", 503), ("SETUP", 453)]
)
async def test_what_rtsp_refuses_is_had_in_the_next_way(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, nothing_by_udp: None, method: str, status: int
):
    recorder.inject("status", path="rtsp:", mode=method, status=status, times=0)
    camera = await camera_of()
    with watch(relays, camera, "h264") as viewer:
        init, _ = await pieces(viewer, 3, seconds=60)
        assert init.track.kind == "jpeg"
    await until(lambda: not relays.figures())
    assert asked(recorder)[:3] == BY_CGI
    assert asked(recorder)[-1] == "mjpeg"


async def test_what_rtsp_refuses_where_it_is_fixed_is_told(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera
):
    recorder.inject("status", path="rtsp:", mode="DESCRIBE", status=403)
    with (
        watch(relays, await camera_of("rtsp-tcp"), "h264") as viewer,
        pytest.raises(SourceRefused, match="forbids"),
    ):
        await state(viewer, State.LIVE)


async def test_nothing_is_open_twice_while_ways_are_tried(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, nothing_by_udp: None
):
    """A recorder has few places: the UID of the way before is given back before the next one is asked."""
    camera = await camera_of()
    with watch(relays, camera, "h264") as viewer:
        await pieces(viewer, 1, seconds=60)
    await until(lambda: not relays.figures())
    assert asked(recorder) == [*BY_CGI, *SESSION]


async def test_two_streams_of_a_camera_are_remembered_beside_each_other(relays: Relays, camera_of: MakeCamera):
    camera = await camera_of()
    with watch(relays, camera, "h264") as large, watch(relays, camera, "h264_2") as small:
        await asyncio.gather(pieces(large, 1), pieces(small, 1))
    await until(lambda: not relays.figures())
    await camera.arefresh_from_db()
    assert set(camera.learned) == {"h264", "h264_2"}


@pytest.mark.parametrize("delivery", ["multi", "uni_manual"])
async def test_a_transmission_type_that_was_changed_meanwhile_is_followed(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, delivery: str
):
    await sent_by(recorder, delivery)
    camera = await camera_of()  # as it was told to be before
    with watch(relays, camera, "h264") as viewer:
        init, parts = await pieces(viewer, 5)
        assert in_order(numbers(init, parts))
    await until(lambda: not relays.figures())


@pytest.mark.parametrize(("transport", "word"), [("rtp", "multicast"), ("rtsp-tcp", "another way")])
async def test_a_way_that_is_fixed_here_and_not_set_there_is_refused_with_a_sentence(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, transport: str, word: str
):
    await sent_by(recorder, "multi")
    camera = await camera_of(transport)
    with watch(relays, camera, "h264") as viewer, pytest.raises(Exception, match=word):
        await state(viewer, State.LIVE)
    await until(lambda: not relays.figures())
    recorder.inject("lose-uids")  # one was given for nothing; the recorder forgets it by itself later


def _number(jpeg: bytes) -> int:
    strip = read_strip(Image.open(io.BytesIO(jpeg)))
    assert strip is not None
    assert strip[0] == 7
    return strip[1]


@pytest.mark.parametrize(
    ("transport", "delivery"),
    [("rtp", "uni_manual"), ("rtp-multicast", "multi"), ("rtsp-udp", "uni_manual"), ("rtsp-multicast", "multi")],
)
async def test_sound_comes_to_where_the_recorder_is_set_to_send_it(
    relays: Relays, recorder: PovcamSimulator, camera_of: MakeCamera, transport: str, delivery: str
):
    await sent_by(recorder, delivery)
    await Client(recorder).set("set_audio?audio=1&audio_sens=middle&audio_transmit=1")
    await asyncio.sleep(0.2)
    camera = await camera_of(transport, delivery=delivery)
    with relays.watch(camera.pk, "h264", opening.device_source(camera.pk, "h264"), stuck, sound=True) as viewer:
        async with asyncio.timeout(30):
            while not (isinstance(item := await viewer.next(), Init) and item.sound is not None):
                pass
    await until(lambda: not relays.figures())
