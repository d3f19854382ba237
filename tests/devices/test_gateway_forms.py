"""What the gateway sends besides the plain question: forms, other forms where allowed, a second try, a stream; and what
silence, a redirect or a 401 mean where a command says so."""

import asyncio
import contextlib
from typing import Any

import pytest
import redis

from devices import exchanges, gateway
from devices.cgi import Access, Command, Digits, Kind, Post, Text, Whole
from devices.errors import (
    Busy,
    ClosedSilently,
    DeviceError,
    Interrupted,
    NoAnswer,
    NotSupported,
    Refused,
    SessionGone,
    WrongAnswer,
)
from devices.gateway import Gateway
from tests.devices.conftest import PASSWORD, Scripted, http, unsaved_device

DIGEST = 'WWW-Authenticate: Digest realm="r", nonce="{}", qop="auth"'
LEGACY = {"legacy": True}


def command(**changes: Any) -> Command:
    values: dict[str, Any] = {
        "id": "x",
        "section": "1",
        "path": "/cgi-bin/x",
        "methods": ("GET",),
        "access": Access.LIVE,
        "kind": Kind.READ,
        "params": (Whole(name="n", low=0, high=9), Text(name="t", max_length=20)),
    }
    return Command(**values | changes)


READ = command()
WRITE = command(methods=("POST",), kind=Kind.WRITE)
FORM = command(methods=("POST",), kind=Kind.WRITE, post=Post.FORM)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "AGAIN_SECONDS", (0.0, 0.01))


def lines(scripted: Scripted) -> list[str]:
    """The first line of each request."""
    return [request.split(b"\r\n")[0].decode() for request in scripted.requests]


# --- Forms ------------------------------------------------------------------------------------------------------------
async def test_a_form_is_sent_in_the_body_as_the_document_says(scripted: Scripted) -> None:
    await Gateway(unsaved_device(scripted.port)).ask(FORM, {"n": 3, "t": "a b"})
    (request,) = scripted.requests  # the scripted device reads as far as the empty line
    assert request == (
        b"POST /cgi-bin/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % scripted.port
        + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\n"
    )


@pytest.mark.parametrize("status", [400, 405, 501])
@pytest.mark.parametrize("form", [WRITE, FORM], ids=["query", "form"])
async def test_undocumented_forms_are_never_tried_unasked(scripted: Scripted, form: Command, status: int) -> None:
    scripted.answers = [http(status)]
    with pytest.raises((Refused, NotSupported)):
        await Gateway(unsaved_device(scripted.port)).ask(form, {"n": 3})
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("status", [405, 501])
@pytest.mark.parametrize(("form", "first"), [(WRITE, "POST /cgi-bin/x?n=3"), (FORM, "POST /cgi-bin/x")])
async def test_with_legacy_a_get_follows_a_post_that_was_refused(
    scripted: Scripted, form: Command, first: str, status: int
) -> None:
    scripted.answers = [http(status), http(200, "done")]
    reply = await Gateway(unsaved_device(scripted.port, options=LEGACY, family="povcam")).ask(form, {"n": 3})
    assert reply.text == "done"
    assert lines(scripted) == [f"{first} HTTP/1.1", "GET /cgi-bin/x?n=3 HTTP/1.1"]
    newest, oldest = await asyncio.to_thread(exchanges.recent, 1)
    assert (oldest.undocumented, oldest.status) == (False, status)
    assert (newest.undocumented, newest.method, newest.status) == (True, "GET", 200)


async def test_with_legacy_a_random_number_is_fetched_where_newer_firmware_wants_one(scripted: Scripted) -> None:
    scripted.answers = [http(400), http(200, "Randomnum=4711abcd\r\n"), http(200, "done")]
    reply = await Gateway(unsaved_device(scripted.port, options=LEGACY)).ask(READ, {"n": 3})
    assert reply.text == "done"
    assert lines(scripted) == [
        "GET /cgi-bin/x?n=3 HTTP/1.1",
        "GET /cgi-bin/get_randomnum HTTP/1.1",
        "GET /cgi-bin/x?n=3&Randomnum=4711abcd HTTP/1.1",
    ]
    assert [each.undocumented for each in await asyncio.to_thread(exchanges.recent, 1)] == [True, True, False]


async def test_with_legacy_what_is_refused_in_every_form_is_refused(scripted: Scripted) -> None:
    scripted.answers = [http(400)]
    with pytest.raises(Refused):
        await Gateway(unsaved_device(scripted.port, options=LEGACY)).ask(WRITE, {"n": 3})
    assert lines(scripted) == [
        "POST /cgi-bin/x?n=3 HTTP/1.1",
        "GET /cgi-bin/get_randomnum HTTP/1.1",
        "GET /cgi-bin/x?n=3 HTTP/1.1",
    ]


async def test_an_undocumented_command_needs_the_option_and_shows(scripted: Scripted) -> None:
    odd = command(undocumented=True)
    with pytest.raises(NotSupported, match="the option legacy"):
        await Gateway(unsaved_device(scripted.port)).ask(odd)
    assert scripted.requests == []
    await Gateway(unsaved_device(scripted.port, options=LEGACY)).ask(odd)
    assert [each.undocumented for each in await asyncio.to_thread(exchanges.recent, 1)] == [True]


# --- A second try -----------------------------------------------------------------------------------------------------
async def test_a_read_that_was_cut_off_is_asked_once_more(scripted: Scripted) -> None:
    scripted.answers = [b"", http(200, "a=1")]
    assert (await Gateway(unsaved_device(scripted.port)).ask(READ)).text == "a=1"
    scripted.answers = [b""]
    with pytest.raises(ClosedSilently):
        await Gateway(unsaved_device(scripted.port)).ask(READ)
    assert len(scripted.requests) == 4


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.READ])
async def test_nothing_but_a_read_is_ever_repeated(scripted: Scripted, kind: Kind) -> None:
    scripted.answers = [b""]
    with pytest.raises(ClosedSilently):
        await Gateway(unsaved_device(scripted.port)).ask(command(kind=kind))
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [(http(503), Busy), (http(403), Refused), (http(500), WrongAnswer), (b"SSH-2.0-x\r\n\r\n", WrongAnswer)],
)
async def test_a_clear_answer_is_not_asked_for_again(
    scripted: Scripted, answer: bytes, error: type[DeviceError]
) -> None:
    scripted.answers = [answer]
    with pytest.raises(error):
        await Gateway(unsaved_device(scripted.port)).ask(READ)
    assert len(scripted.requests) == 1


SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


async def test_half_an_answer_is_asked_for_again_and_the_whole_one_taken(scripted: Scripted) -> None:
    scripted.answers = [SHORT + b"a=1", http(200, "a=12")]
    reply = await Gateway(unsaved_device(scripted.port)).ask(READ)
    assert (reply.text, reply.whole) == ("a=12", True)


async def test_a_device_that_always_counts_wrong_is_understood(scripted: Scripted) -> None:
    scripted.answers = [SHORT + b"a=1"]
    reply = await Gateway(unsaved_device(scripted.port)).ask(READ)
    assert (reply.text, reply.whole) == ("a=1", False)
    assert len(scripted.requests) == 2


async def test_answers_that_break_off_at_different_places_are_no_answer(scripted: Scripted) -> None:
    scripted.answers = [SHORT + b"a=1", SHORT + b"a=12"]
    with pytest.raises(Interrupted, match="breaks off"):
        await Gateway(unsaved_device(scripted.port)).ask(READ)


# --- What a command says of its answers -------------------------------------------------------------------------------
async def test_silence_is_consent_only_where_the_command_says_so(scripted: Scripted) -> None:
    scripted.answers = [b""]
    reply = await Gateway(unsaved_device(scripted.port)).ask(command(kind=Kind.CONTROL, may_be_silent=True))
    assert (reply.status, reply.text) == (204, "")
    assert len(scripted.requests) == 1


async def test_a_redirect_is_success_only_where_the_command_says_so(scripted: Scripted) -> None:
    scripted.answers = [http(302, "", "Location: /other")]
    reply = await Gateway(unsaved_device(scripted.port)).ask(command(kind=Kind.WRITE, may_redirect=True))
    assert reply.status == 302
    with pytest.raises(WrongAnswer, match="elsewhere"):
        await Gateway(unsaved_device(scripted.port)).ask(command(kind=Kind.WRITE))
    assert lines(scripted) == ["GET /cgi-bin/x HTTP/1.1"] * 2


BY_UID = command(
    id="by_uid", kind=Kind.SESSION, uid_is_login=True, params=(Digits(name="UID", max_length=19, secret=True),)
)


async def test_a_uid_that_is_gone_is_not_taken_for_a_wrong_password(scripted: Scripted) -> None:
    """After a recorder restarted: another nonce, and all UIDs dead at once. Logging in again must not be paused."""
    scripted.answers = [http(401, "", DIGEST.format("n1")), http(200)]
    device = unsaved_device(scripted.port, options={})
    await Gateway(device).ask(READ)
    scripted.answers = [http(401, "", DIGEST.format("n2"))]
    for _ in range(3):
        with pytest.raises(SessionGone, match="A new one is needed"):
            await Gateway(device).ask(BY_UID, {"UID": "7"})
    scripted.answers = [http(200, "logged in")]
    assert (await Gateway(device).ask(READ)).text == "logged in"


async def test_a_uid_that_is_gone_never_brings_a_lock_out(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1")), http(200)]
    device = unsaved_device(scripted.port)
    await Gateway(device).ask(READ)
    scripted.answers = [http(401, "", DIGEST.format("n2"))]
    before = len(scripted.requests)
    for _ in range(30):
        with pytest.raises(SessionGone):
            await Gateway(device).ask(BY_UID, {"UID": "7"})
    assert len(scripted.requests) == before + 30
    assert not any(b"Authorization" in request for request in scripted.requests[before:])


# --- Streams ----------------------------------------------------------------------------------------------------------
class Sender:
    """A device that asks for a log-in and then sends parts until nobody listens."""

    def __init__(self, *, log_in: bool = False) -> None:
        self.requests: list[bytes] = []
        self.streaming = asyncio.Event()
        self.gone = asyncio.Event()
        self.log_in = log_in

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request)
            if self.log_in and b"Authorization" not in request:
                writer.write(http(401, "no", DIGEST.format("n1")))
            elif b"/stream" in request:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n")
                self.streaming.set()
                while not writer.is_closing():
                    writer.write(b"--b\r\n\r\npart\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.01)
                self.gone.set()
            else:
                writer.write(http(200, "a=1"))
        writer.close()
        if b"/stream" in request:
            self.gone.set()


STREAM = command(id="stream", path="/cgi-bin/stream", kind=Kind.PICTURE)


@pytest.mark.parametrize("log_in", [False, True])
async def test_a_stream_is_opened_and_the_device_is_free_for_others_while_it_runs(
    log_in: bool, redis_client: redis.Redis
) -> None:
    sender = Sender(log_in=log_in)
    async with await asyncio.start_server(sender.serve, "127.0.0.1", 0) as server:
        device = unsaved_device(server.sockets[0].getsockname()[1])
        async with Gateway(device).stream(STREAM, {"n": 1}) as streamed:
            assert (streamed.status, streamed.headers["content-type"][:9]) == (200, "multipart")
            got = b""
            async for piece in streamed.pieces:
                got += piece
                if len(got) > 100:
                    break
            assert got.startswith(b"--b\r\n\r\npart\r\n")
            assert (await Gateway(device).ask(READ)).text == "a=1"
        await asyncio.wait_for(sender.gone.wait(), 5)
    log = await asyncio.to_thread(exchanges.recent, 1)
    assert [(each.command, each.status) for each in log][-1] == ("stream", 401 if log_in else 200)
    assert all(each.answer == "" for each in log if each.command == "stream" and each.status == 200)


async def test_a_stream_that_is_refused_or_silent_says_why(scripted: Scripted) -> None:
    scripted.answers = [http(503)]
    with pytest.raises(Busy):
        async with Gateway(unsaved_device(scripted.port)).stream(STREAM):
            pytest.fail("nothing was opened")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        device = unsaved_device(server.sockets[0].getsockname()[1])
        async with Gateway(device).stream(STREAM, idle_seconds=0.2) as streamed:
            with pytest.raises(NoAnswer, match="silent"):
                await anext(streamed.pieces)


async def test_a_cancelled_viewer_leaves_nothing_open(redis_client: redis.Redis) -> None:
    sender = Sender()
    async with await asyncio.start_server(sender.serve, "127.0.0.1", 0) as server:
        device = unsaved_device(server.sockets[0].getsockname()[1])

        async def watch() -> None:
            async with Gateway(device).stream(STREAM) as streamed:
                async for _ in streamed.pieces:
                    pass

        watching = asyncio.create_task(watch())
        await sender.streaming.wait()
        await asyncio.sleep(0.1)
        watching.cancel()
        await asyncio.wait([watching])
        await asyncio.wait_for(sender.gone.wait(), 5)
    assert not redis_client.exists(f"vms:turn:127.0.0.1:{device.port}:turn")


async def test_no_error_and_no_log_tells_a_secret(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    scripted.answers = [http(500, f"UID=987654 {PASSWORD}")]
    with pytest.raises(WrongAnswer) as caught:
        await Gateway(unsaved_device(scripted.port)).ask(BY_UID, {"UID": "987654"})
    for secret in ("987654", PASSWORD):
        assert secret not in str(caught.value)
        assert secret not in caplog.text
