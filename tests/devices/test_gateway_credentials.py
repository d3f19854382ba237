"""User names and passwords of every alphabet, byte for byte on the wire: UTF-8 in Basic (RFC 7617) and in Digest (RFC
7616), and what the person entered, neither trimmed nor composed anew."""

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest
import redis

from devices.gateway import Gateway
from devices.models import Device
from tests.devices.conftest import Api, Scripted, http, unsaved_device
from tests.devices.test_gateway import command

BASIC = 'WWW-Authenticate: Basic realm="Kamera Süd"'
DIGEST = 'WWW-Authenticate: Digest realm="Kamera Sued", nonce="abc", qop="auth", algorithm=MD5'
PEOPLE = [
    ("Jürgen", "Größe 7€"),
    ("管理者", "パスワード"),
    ("admin", " spaces kept "),
    ("e\u0301va", "cafe\u0301"),  # decomposed, as some keyboards enter it
    ("o'neil\"q\\", 'p"a\\s:s'),
    ("🔑", "пароль🔒"),
]


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def authorization_of(request: bytes) -> bytes:
    (value,) = re.findall(rb"(?im)^authorization: (.*?)\r?$", request)
    return bytes(value)


@pytest.mark.parametrize(("name", "password"), PEOPLE)
async def test_basic(scripted: Scripted, name: str, password: str) -> None:
    scripted.answers = [http(401, "", BASIC), http(200, "a=1\r\n")]
    await Gateway(unsaved_device(scripted.port, username=name, password=password)).ask(command())
    expected = base64.b64encode(name.encode("utf-8") + b":" + password.encode("utf-8"))
    assert authorization_of(scripted.requests[-1]) == b"Basic " + expected


@pytest.mark.parametrize(("name", "password"), PEOPLE)
async def test_digest(scripted: Scripted, name: str, password: str) -> None:
    scripted.answers = [http(401, "", DIGEST), http(200, "a=1\r\n")]
    await Gateway(unsaved_device(scripted.port, username=name, password=password)).ask(command())
    value = authorization_of(scripted.requests[-1])
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8")
    assert b'Digest username="' + quoted + b'", ' in value
    told = dict(re.findall(rb'(\w+)="?([^",]*)"?', value.partition(b"realm=")[2]))
    target = scripted.requests[-1].split()[1]
    secret = md5(name.encode("utf-8") + b":Kamera Sued:" + password.encode("utf-8"))
    asked = md5(b"GET:" + target)
    whole = b":".join([secret.encode(), b"abc", told[b"nc"], told[b"cnonce"], b"auth", asked.encode()])
    assert told[b"response"].decode() == md5(whole)


class Answering:
    """A device in a thread of its own that wants a log-in and takes any; with the exact bytes it was sent."""

    challenge = BASIC

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                    request += piece
                self.requests.append(request)
                logged_in = re.search(rb"(?im)^authorization:", request)
                body = "Network.brand=X\r\n"
                connection.sendall(http(200, body) if logged_in else http(401, "", self.challenge))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def devices_answering() -> Iterator[Answering]:
    found = Answering()
    yield found
    found.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "password"), PEOPLE)
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_from_the_api_to_the_wire(
    admin: Api, devices_answering: Answering, name: str, password: str, scheme: str, redis_client: redis.Redis
) -> None:
    devices_answering.challenge = BASIC if scheme == "Basic" else DIGEST
    body = {"family": "hama", "host": "127.0.0.1", "port": devices_answering.port, "username": name}
    status, device = admin("POST", "devices", {**body, "name": "Süd", "password": password})
    assert status == 201, device
    assert device["username"] == name
    assert Device.objects.get().password.reveal() == password
    assert admin("POST", f"devices/{device['id']}/commands/get_brand")[0] == 200
    value = authorization_of(devices_answering.requests[-1])
    if scheme == "Basic":
        assert base64.b64decode(value.removeprefix(b"Basic ")) == f"{name}:{password}".encode()
    else:
        realm = b"Kamera Sued"
        told = dict(re.findall(rb'(\w+)="?([^",]*)"?', value.partition(b"realm=")[2]))
        secret = md5(b":".join([name.encode(), realm, password.encode()]))
        asked = md5(b"GET:" + devices_answering.requests[-1].split()[1])
        whole = b":".join([secret.encode(), b"abc", told[b"nc"], told[b"cnonce"], b"auth", asked.encode()])
        assert told[b"response"].decode() == md5(whole)
    exchanges = str(admin("GET", f"devices/{device['id']}/exchanges")[1])
    assert password not in exchanges
