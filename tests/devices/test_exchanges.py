"""The ring of the last exchanges: enough for support, and never a secret."""

import asyncio
import base64
import contextlib
import html
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from devices import exchanges
from devices.cgi import (
    HIDDEN,
    Access,
    BadValue,
    Command,
    Field,
    FoundField,
    Kind,
    Page,
    Param,
    Post,
    Request,
    Rows,
    Text,
    Whole,
    request,
)
from devices.errors import DeviceError, NoCoordination
from devices.families import driver_class, families
from devices.gateway import Gateway
from tests.devices.conftest import PASSWORD, USER, Scripted, http, unsaved_device

PLAIN = Command(
    id="x",
    section="1",
    path="/x",
    methods=("GET",),
    access=Access.LIVE,
    kind=Kind.READ,
    params=(Whole(name="n", low=0, high=99), Text(name="code", max_length=40, secret=True)),
    reply=(Field("Serial"), Field("door", secret=True)),
)


def recent(device: int = 1) -> Any:
    return asyncio.to_thread(exchanges.recent, device)


async def test_an_exchange_is_kept_as_support_needs_it(scripted: Scripted) -> None:
    await Gateway(unsaved_device(scripted.port)).ask(PLAIN, {"n": 3})
    (kept,) = await recent()
    assert datetime.now(UTC).timestamp() - datetime.fromisoformat(kept.at).timestamp() < 60
    assert kept.milliseconds >= 0
    assert (kept.command, kept.method, kept.target, kept.form) == ("x", "GET", "/x?n=3", "")
    assert (kept.status, kept.answer, kept.error, kept.undocumented) == (200, "a=1\r\n", "", False)


async def test_a_question_without_an_answer_is_kept_with_what_went_wrong(scripted: Scripted) -> None:
    scripted.answers = [b"SSH-2.0-x\r\n\r\n"]
    with pytest.raises(DeviceError):
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN)
    (kept,) = await recent()
    assert kept.status is None
    assert "not HTTP" in kept.error


async def test_the_newest_fifty_are_kept_first_and_for_a_week(scripted: Scripted, redis_client: "redis.Redis") -> None:
    for number in range(53):
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN, {"n": number})
    kept = await recent()
    assert [each.target for each in kept] == [f"/x?n={number}" for number in range(52, 2, -1)]
    assert 0 < redis_client.ttl("vms:exchanges:1") <= 7 * 24 * 3600
    assert await recent(2) == []
    exchanges.forget(1)
    assert await recent() == []


async def test_without_redis_the_ring_says_so(redis_away: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCoordination, match="show what was said"):
        await recent()


async def test_pictures_and_long_answers_are_not_kept_whole(scripted: Scripted) -> None:
    scripted.answers = [
        http(200, "x" * 2000),
        http(200, "JFIF", "Content-Type: image/jpeg"),
        http(200, "a\0b"),
    ]
    for _ in range(3):
        await Gateway(unsaved_device(scripted.port)).ask(PLAIN)
    odd, picture, long = await recent()
    assert long.answer == "x" * 499 + "…"
    assert picture.answer == "(image/jpeg, 4 bytes)"
    assert odd.answer == "(3 bytes that are no text)"


# --- Secrets ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Serial=1\r\ndoor=open sesame, now\r\nb=2", f"Serial=1\r\ndoor={HIDDEN}\r\nb=2"),
        ("root.door = open\n", f"root.door = {HIDDEN}\n"),
        ("a=1&AdminPassword=x,y;z&b=2", f"a=1&AdminPassword={HIDDEN}&b=2"),
        ("{UID:123456,sDelivery:uni}", f"{{UID:{HIDDEN}"),
        ('<a href="hdrctl.cgi?UID=123456&PC=AS60">', f'<a href="hdrctl.cgi?UID={HIDDEN}&PC=AS60">'),
        ("<Password>x</Password><Name>y</Name>", f"<Password>{HIDDEN}</Password><Name>y</Name>"),
        ("Set-Cookie: a=b\nAuthorization: Basic eA==", f"Set-Cookie: {HIDDEN}\nAuthorization: {HIDDEN}"),
        ("got: Digest username=x, response=y", f"got: Digest {HIDDEN}"),
        ("FtpPass=x", f"FtpPass={HIDDEN}"),
        ("code=sesame is sesame", f"code={HIDDEN} is {HIDDEN}"),
        ("UID=\r\nb=2", "UID=\r\nb=2"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_is_secret_in_an_answer_is_hidden_and_the_rest_is_not(answer: str, shown: str) -> None:
    kept = exchanges.described(
        PLAIN,
        request(PLAIN, {"code": "sesame"}),
        password=PASSWORD,
        began=datetime.now(UTC),
        milliseconds=1,
        status=200,
        answer=answer,
    )
    assert kept.answer == shown
    assert kept.target == f"/x?code={HIDDEN}"


def test_a_found_secret_and_a_list_with_secrets_are_hidden() -> None:
    page = Command(
        **vars(PLAIN) | {"shape": Page(), "reply": (FoundField("token", patterns=(r"the (\d+) one",), secret=True),)}
    )
    assert exchanges.without_secrets(page, "the 123 one", ()) == f"the {HIDDEN} one"
    rows = Command(**vars(PLAIN) | {"shape": Rows(columns=(Field("id"), Field("word", secret=True)))})
    assert exchanges.without_secrets(rows, "1,sesame", ()) == "(not shown: x answers a list with secrets in it)"


@given(st.text(min_size=1, max_size=30), st.text(max_size=200), st.text(max_size=200))
def test_what_was_sent_as_a_secret_is_nowhere_in_what_is_kept(secret: str, before: str, after: str) -> None:
    query = f"n=1&code={quote(secret)}"
    kept = exchanges.described(
        PLAIN,
        Request("GET", f"/x?{query}"),
        password="",
        began=datetime.now(UTC),
        milliseconds=1,
        answer=f"{before} {secret} {after}",
        error=f"it said {secret} !",
    )
    assert kept.target == f"/x?n=1&code={HIDDEN}"
    if len(secret) > 3 and secret not in f"it said {HIDDEN} {before} {HIDDEN} {after}":
        assert secret not in kept.answer
        assert secret not in kept.error


# Whatever a parameter wants, one of these is it.
SECRETS = ("s3cretW0rd", "918273645", "s3cr", "sesam", "open sesame", "0123456789abcdef", "0123456789")
CANDIDATES: tuple[Any, ...] = (
    *("plain", 1, 2, 0, "1", "0", "on", "start", "192.168.0.9", "host.example", "2026-11-24", "10:20:30"),
    *("2026-11-24T10:20:30", "00:80:45:01:02:03", "A1B2"),
)


def value_for(param: Param) -> Any:
    for candidate in SECRETS if param.secret else (*getattr(param, "choices", ()), *CANDIDATES):
        with contextlib.suppress(BadValue):
            param.write(candidate)
            return candidate
    raise AssertionError(f"no value is known for {param}")


def filled(command: Command) -> dict[str, Any]:
    """Values for the required and the secret parameters."""
    wanted = (param for param in command.params if (param.required or param.secret) and param.type != "fixed")
    return {param.name: value_for(param) for param in wanted}


def with_secrets() -> Iterator[Any]:
    for family in families():
        for command in driver_class(family).catalogue:
            if any(param.secret for param in command.params) and not command.unrunnable:
                # What must go together is no matter here; each secret is looked at alone.
                yield pytest.param(family, replace(command, constraints=()), id=f"{family}: {command.id}")


OURS = [
    pytest.param("povcam", PLAIN, id="a query"),
    pytest.param(
        "povcam", Command(**vars(PLAIN) | {"methods": ("POST",), "kind": Kind.WRITE, "post": Post.FORM}), id="a form"
    ),
]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A device that answers with all it was sent, in many dresses."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
    body = (await reader.readexactly(length)).decode()
    query = body or head.split(" ")[1].partition("?")[2]
    plain = unquote_plus(query)
    said = "\r\n".join(
        [query, plain, plain.replace("&", "\r\n"), html.escape(plain), json.dumps(plain), head, PASSWORD]
    )
    challenged = "Authorization" not in head
    writer.write(http(401, said, 'WWW-Authenticate: Basic realm="x"') if challenged else http(500, said))
    writer.close()


@pytest.mark.parametrize(("family", "command"), [*OURS, *with_secrets()])
async def test_no_secret_of_any_command_is_kept_even_when_the_device_says_it_back(
    family: str, command: Command, redis_client: "redis.Redis"
) -> None:
    values = filled(command)
    secrets = [str(values[param.name]) for param in command.params if param.secret]
    assert secrets
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        device = unsaved_device(server.sockets[0].getsockname()[1], family=family, options={"legacy": True})
        with pytest.raises(DeviceError) as caught:
            await Gateway(device).ask(command, values)
    everything = " ".join(text.decode() for text in redis_client.lrange("vms:exchanges:1", 0, -1))
    assert HIDDEN in everything
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (*secrets, *map(quote, secrets), PASSWORD, quote(PASSWORD), login):
        assert secret not in everything
        assert secret not in str(caught.value)
    assert "Authorization: Basic" not in everything
