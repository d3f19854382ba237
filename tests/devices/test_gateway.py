"""The only door to a device: log-in, pacing, breaker, deadlines, and errors a person can act on."""

import asyncio
import hashlib
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import redis
from django.conf import settings

from accounts.secrets import Secret
from devices import http as devices_http
from devices.cgi import Access, BadValue, Command, Kind, Whole
from devices.errors import (
    Busy,
    CertificateChanged,
    ClosedSilently,
    DeviceError,
    Failed,
    Interrupted,
    NoAnswer,
    NoCoordination,
    NotSupported,
    Refused,
    Replaced,
    SessionGone,
    Unauthorised,
    WrongAnswer,
)
from devices.gateway import Gateway
from devices.turns import Turn
from tests.devices.conftest import PASSWORD, USER, Scripted, free_port, http, unsaved_device


def command(**changes: Any) -> Command:
    values: dict[str, Any] = {
        "id": "x",
        "section": "1",
        "path": "/cgi-bin/x",
        "methods": ("GET",),
        "access": Access.LIVE,
        "kind": Kind.READ,
        "params": (Whole(name="n", low=0, high=9),),
    }
    return Command(**values | changes)


PLAIN = command()
DIGEST = 'WWW-Authenticate: Digest realm="r", nonce="{}", qop="auth"'


async def test_without_the_key_of_its_password_nothing_is_sent_and_the_cure_is_said(scripted: Scripted) -> None:
    device = unsaved_device(scripted.port, password=Secret.from_stored("of another key"))
    for taking_turns in (True, False):
        with pytest.raises(Unauthorised, match="password of Gate cannot be read with the present SECRET_KEY: put"):
            await Gateway(device).ask(PLAIN, {"n": 3}, taking_turns=taking_turns)
    with pytest.raises(Unauthorised, match="enter the password anew"):
        async with Gateway(device).stream(PLAIN, {"n": 3}):
            pass
    assert scripted.requests == []


async def test_the_request_is_exactly_what_was_meant_and_nothing_more(scripted: Scripted) -> None:
    reply = await Gateway(unsaved_device(scripted.port)).ask(PLAIN, {"n": 3})
    assert scripted.requests == [b"GET /cgi-bin/x?n=3 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % scripted.port]
    assert reply.text == "a=1\r\n"


async def test_a_post_carries_its_values_in_the_address_and_an_empty_body(scripted: Scripted) -> None:
    await Gateway(unsaved_device(scripted.port)).ask(command(methods=("POST",)), {"n": 3})
    head = b"POST /cgi-bin/x?n=3 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 0\r\n\r\n" % scripted.port
    assert scripted.requests == [head]


async def test_a_value_outside_the_document_is_never_sent(scripted: Scripted) -> None:
    with pytest.raises(BadValue, match="n cannot be 10; use a whole number from 0 to 9"):
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN, {"n": 10})
    assert scripted.requests == []


# --- Log-in -----------------------------------------------------------------------------------------------------------
async def test_basic_is_answered(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", 'WWW-Authenticate: Basic realm="x"'), http(200)]
    await Gateway(unsaved_device(scripted.port, username="ü", password="p:w")).ask(PLAIN)
    assert b"\r\nAuthorization: Basic w7w6cDp3\r\n" in scripted.requests[1]


async def test_digest_is_preferred_and_its_nonce_used_again_by_the_next(scripted: Scripted) -> None:
    both = 'WWW-Authenticate: Basic realm="b", Digest realm="r", nonce="n1", qop="auth"'
    scripted.answers = [http(401, "", both), http(200)]
    await Gateway(unsaved_device(scripted.port)).ask(PLAIN)
    await Gateway(unsaved_device(scripted.port)).ask(PLAIN, {"n": 1})
    assert len(scripted.requests) == 3, "one challenge for two commands"
    assert b"nc=00000001" in scripted.requests[1]
    assert b"nc=00000002" in scripted.requests[2]
    sent = dict(re.findall(r'(\w+)="?([^",\r]+)"?', scripted.requests[2].decode()))
    assert sent["uri"] == "/cgi-bin/x?n=1"

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    ha1, ha2 = md5(f"{USER}:r:{PASSWORD}"), md5("GET:/cgi-bin/x?n=1")
    assert sent["response"] == md5(f"{ha1}:n1:00000002:{sent['cnonce']}:auth:{ha2}")


@pytest.mark.parametrize("stale", ["", ", stale=true"], ids=["unsaid", "said"])
async def test_a_nonce_that_ran_out_is_replaced_silently(scripted: Scripted, stale: str) -> None:
    scripted.answers = [
        http(401, "", DIGEST.format("n1")),
        http(200),
        http(401, "", DIGEST.format("n2") + stale),
        http(200, "fine"),
    ]
    gateway = Gateway(unsaved_device(scripted.port))
    await gateway.ask(PLAIN)
    assert (await gateway.ask(PLAIN)).text == "fine"
    assert b'nonce="n2"' in scripted.requests[3]
    assert b"nc=00000001" in scripted.requests[3]


async def test_two_refused_log_ins_pause_everybody(scripted: Scripted, redis_client: redis.Redis) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1"))]
    gateway = Gateway(unsaved_device(scripted.port, password="wrong"))
    for _ in range(2):
        with pytest.raises(Unauthorised, match="refuses our user name and password"):
            await gateway.ask(PLAIN)
    tried = [request for request in scripted.requests if b"Authorization" in request]
    assert len(tried) == 2
    for _ in range(20):
        with pytest.raises(Unauthorised, match="nothing is sent until"):
            await Gateway(unsaved_device(scripted.port, password="wrong")).ask(PLAIN)
    assert [request for request in scripted.requests if b"Authorization" in request] == tried
    (pause,) = redis_client.keys("vms:turn:*:pause:*")
    assert 0 < redis_client.ttl(pause) <= 60


async def test_a_password_changed_on_the_device_is_tried_twice_at_most(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1")), http(200), http(401, "", DIGEST.format("n2"))]
    gateway = Gateway(unsaved_device(scripted.port))
    await gateway.ask(PLAIN)
    for _ in range(5):
        with pytest.raises(Unauthorised):
            await gateway.ask(PLAIN)
    assert len([request for request in scripted.requests if b"Authorization" in request]) == 3


async def test_new_credentials_start_with_a_clean_record(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1"))] * 4 + [http(200, "fine")]
    wrong = Gateway(unsaved_device(scripted.port, password="wrong"))
    for _ in range(2):
        with pytest.raises(Unauthorised):
            await wrong.ask(PLAIN)
    assert (await Gateway(unsaved_device(scripted.port)).ask(PLAIN)).text == "fine"


async def test_one_success_forgets_an_earlier_refusal(scripted: Scripted) -> None:
    challenge = http(401, "", DIGEST.format("n1"))
    gateway = Gateway(unsaved_device(scripted.port))
    scripted.answers = [challenge, challenge, challenge, http(200), challenge, challenge, http(200, "fine")]
    with pytest.raises(Unauthorised):
        await gateway.ask(PLAIN)
    await gateway.ask(PLAIN)
    with pytest.raises(Unauthorised):
        await gateway.ask(PLAIN)
    assert (await gateway.ask(PLAIN)).text == "fine"


async def test_a_device_that_wants_a_log_in_we_do_not_have_says_so(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1"))]
    with pytest.raises(Unauthorised, match="Enter them"):
        await Gateway(unsaved_device(scripted.port, username="", password="")).ask(PLAIN)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (['Basic realm="a, b"'], [("basic", "a, b", "")]),
        (['Digest realm="r",nonce=abc==,', "basic"], [("digest", "r", "abc=="), ("basic", "", "")]),
        (['Basic realm="b", Digest realm="r", nonce="n"'], [("basic", "b", ""), ("digest", "r", "n")]),
        (["Negotiate, NTLM abc=, Digest nonce=n"], [("digest", "", "n")]),
        (['Digest realm="say \\"hi\\"", nonce = "n" , qop="auth-int,auth"'], [("digest", 'say "hi"', "n")]),
        (['Digest nonce="n", qop="auth-int"', 'Digest nonce="n", algorithm=SHA-512'], []),
        (["", ",,", "=", '"'], []),
    ],
)
def test_challenges_are_read_however_they_are_written(header: list[str], expected: list[tuple[str, str, str]]) -> None:
    found = devices_http.parse_challenges(header)
    assert [(each.scheme, each.realm, each.nonce) for each in found] == expected


@pytest.mark.parametrize(
    ("algorithm", "qop", "response"),
    # RFC 7616, 3.9.1 (both algorithms), and RFC 2069's form by hand.
    [
        ("SHA-256", "auth", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "auth", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_digest_agrees_with_the_standard(algorithm: str, qop: str, response: str) -> None:
    challenge = devices_http.Challenge(
        "digest",
        "http-auth@example.org",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        algorithm,
        qop,
    )
    header = devices_http.authorization(
        challenge,
        "Mufasa",
        "Circle of Life",
        "GET",
        "/dir/index.html",
        count=1,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert f'response="{response}"' in header


# --- Errors -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(403), Refused),
        (http(400), Refused),
        (http(404), NotSupported),
        (http(501), NotSupported),
        (http(503), Busy),
        (http(500), Failed),
        (http(302, "", "Location: http://other.example/"), WrongAnswer),
        (http(401), WrongAnswer),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", WrongAnswer),
        (http(200, "x" * (devices_http.ANSWER_LIMIT + 1)), WrongAnswer),
        (b"HTTP/1.1 200 OK\r\nContent-Le", WrongAnswer),
        (b"", ClosedSilently),
    ],
    ids=["403", "400", "404", "501", "503", "500", "redirect", "401 bare", "ssh", "too much", "half a head", "nothing"],
)
async def test_what_goes_wrong_has_a_name_and_a_sentence(
    scripted: Scripted, answer: bytes, error: type[DeviceError]
) -> None:
    scripted.answers = [answer]
    with pytest.raises(error) as caught:
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN)
    assert type(caught.value) is error
    assert str(caught.value).endswith(".")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthorised("x."), 409),
        (Refused("x."), 409),
        (SessionGone("x."), 409),
        (Replaced("x."), 409),
        (CertificateChanged("x."), 409),
        (Busy("x."), 409),
        (NotSupported("x."), 422),
        (WrongAnswer("x."), 502),
        (NoCoordination(), 503),
        (NoAnswer("x."), 504),
        (Interrupted("x."), 504),
        (ClosedSilently("x."), 504),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_status_in_the_api(error: DeviceError, status: int) -> None:
    assert error.status == status


async def test_an_http_1_0_answer_without_a_length_is_read_to_its_end(scripted: Scripted) -> None:
    scripted.answers = [b"HTTP/1.0 200 OK\r\n\r\na=1"]
    assert (await Gateway(unsaved_device(scripted.port)).ask(PLAIN)).text == "a=1"


async def test_nobody_there(redis_client: redis.Redis) -> None:
    with pytest.raises(NoAnswer, match="Check the address"):
        await Gateway(unsaved_device(free_port())).ask(PLAIN)


async def test_a_device_that_hangs_is_given_up(redis_client: redis.Redis) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer):
            await Gateway(unsaved_device(port)).ask(PLAIN, seconds=0.2)
        assert not redis_client.exists(f"vms:turn:127.0.0.1:{port}:turn"), "its turn is free again"


def test_text_is_read_whatever_its_encoding() -> None:
    assert devices_http.decode("カメラ".encode()) == "カメラ"
    assert devices_http.decode("カメラ".encode("cp932")) == "カメラ"
    assert devices_http.decode(b"caf\xe9 ") == "café "


# --- Taking turns -----------------------------------------------------------------------------------------------------
ASKER = """
import asyncio, sys
import django
django.setup()
from devices.gateway import Gateway
from tests.devices.conftest import unsaved_device
from tests.devices.test_gateway import command

async def main():
    gateway = Gateway(unsaved_device(int(sys.argv[1]), pk=5, password=sys.argv[2]))
    paced = command(gap=60, own_gap=150)
    other = command(id="y", path="/cgi-bin/y", gap=60)
    for each in (paced, other, other, paced):
        try:
            await gateway.ask(each, {"n": int(sys.argv[3])})
        except Exception as error:
            print(type(error).__name__)

asyncio.run(main())
"""


async def run_askers(port: int, password: str) -> list[str]:
    environment = {"DATA_DIR": str(settings.DATA_DIR), "SECRET_KEY": settings.SECRET_KEY}
    environment |= {"DJANGO_SETTINGS_MODULE": "vms.settings", "PYTHONPATH": str(settings.BASE_DIR)}
    askers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASKER, str(port), password, str(number)),
            env=environment,
            cwd=settings.BASE_DIR,
            stdout=subprocess.PIPE,
        )
        for number in (1, 2)
    ]
    outputs = await asyncio.wait_for(asyncio.gather(*(asker.communicate() for asker in askers)), 60)
    assert [asker.returncode for asker in askers] == [0, 0]
    return [line for output, _ in outputs for line in output.decode().split()]


async def test_two_processes_keep_the_rests_of_one_device_together(scripted: Scripted) -> None:
    seen: list[tuple[float, bytes]] = []
    inside = 0
    crowd = 0
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal inside, crowd
        request = await reader.readuntil(b"\r\n\r\n")
        seen.append((loop.time(), request))
        inside += 1
        crowd = max(crowd, inside)
        await asyncio.sleep(0.03)
        inside -= 1
        writer.write(http(200))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert await run_askers(server.sockets[0].getsockname()[1], PASSWORD) == []
    assert len(seen) == 8
    assert crowd == 1, "one command at a time"
    # Lower bounds only: a slow machine can make rests longer, never shorter.
    assert all(later - earlier >= 0.060 for (earlier, _), (later, _) in pairwise(seen))
    paced = [at for at, request in seen if b"/cgi-bin/x" in request]
    assert len(paced) == 4
    assert all(later - earlier >= 0.150 for earlier, later in pairwise(paced))
    assert {request.split(b"n=")[1][:1] for _, request in seen} == {b"1", b"2"}, "both processes asked"


async def test_two_processes_together_send_no_more_than_two_wrong_passwords(scripted: Scripted) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1"))]
    failures = await run_askers(scripted.port, "wrong")
    assert failures == ["Unauthorised"] * 8
    assert len([request for request in scripted.requests if b"Authorization" in request]) == 2


async def test_who_waits_too_long_is_told(redis_client: redis.Redis) -> None:
    first = Turn("1", "a", {})
    await first.enter()
    with pytest.raises(Busy, match="busy with other commands"):
        await Turn("1", "a", {}).enter(patience=0.1)
    await Turn("2", "a", {}).enter(patience=1)


async def test_a_turn_of_a_crashed_process_ends_by_itself(redis_client: redis.Redis) -> None:
    await Turn("1", "a", {}).enter()
    assert 0 < redis_client.pttl("vms:turn:1:turn") <= 4000
    redis_client.pexpire("vms:turn:1:turn", 1)
    await Turn("1", "a", {}).enter(patience=5)


async def test_a_cancelled_wait_takes_no_turn_away(redis_client: redis.Redis) -> None:
    for _ in range(30):
        waiting = asyncio.ensure_future(Turn("1", "a", {}).enter())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    await Turn("1", "a", {}).enter(patience=5)


async def test_every_key_in_redis_has_an_end(scripted: Scripted, redis_client: redis.Redis) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1")), http(200)]
    await Gateway(unsaved_device(scripted.port)).ask(command(gap=5000, own_gap=5000))
    keys = redis_client.keys("*")
    assert keys
    assert all(redis_client.ttl(each) >= 0 for each in keys)
    assert all(PASSWORD.encode() not in each for each in keys)


async def test_without_redis_nothing_is_sent(scripted: Scripted, redis_away: None) -> None:
    with pytest.raises(NoCoordination, match="Running pictures go on"):
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN)
    assert scripted.requests == []


async def test_without_redis_a_running_picture_can_still_be_kept_alive(scripted: Scripted, redis_away: None) -> None:
    scripted.answers = [http(401, "", DIGEST.format("n1")), http(200, "kept")]
    reply = await Gateway(unsaved_device(scripted.port)).ask(PLAIN, taking_turns=False)
    assert reply.text == "kept"
