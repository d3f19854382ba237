"""Who may ask what, and how the simulated devices make sure."""

import base64
import hashlib
import re

import httpx
import pytest

from simulators.auth import Allowed, Authenticator, Challenged, Failed, Level, LockedOut, LockOut, User
from simulators.device import Manners
from simulators.http import Request
from simulators.povcam import PovcamSimulator
from tests.simulators.helpers import ADMIN, Client

CALM = Manners(command=0, state=0)
SETTER = "set_basic?cam_title=x"


def digest(challenge: str, target: str, *, method="GET", user="admin", password="12345", nc="00000001", uri="") -> dict:
    """A Digest made by hand, by RFC 7616."""
    realm, nonce = re.search(r'realm="(.*?)"', challenge)[1], re.search(r'nonce="(.*?)"', challenge)[1]
    uri = uri or f"/cgi-bin/{target}"

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    answer = md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:{nc}:abc:auth:{md5(f'{method}:{uri}')}")
    return {
        "Authorization": f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'qop=auth, nc={nc}, cnonce="abc", response="{answer}", algorithm=MD5'
    }


async def test_live_needs_no_password_while_user_auth_is_off_but_admin_does(client):
    assert (await client.ask("get_basic")).status_code == 200
    reply = await client.ask(SETTER, "POST")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith('Digest realm="AG-UMR20", nonce="')
    assert (await client.ask(SETTER, "POST", ADMIN)).status_code == 204
    assert client.device.requests[-1].who == "admin"


async def test_with_user_auth_on_live_needs_one_of_both_users():
    async with PovcamSimulator(user_auth=True, live_user="guard", live_password="tulip", manners=CALM) as device:
        client, guard = Client(device), httpx.DigestAuth("guard", "tulip")
        assert (await client.ask("get_state")).status_code == 401
        assert (await client.ask("get_state", auth=guard)).status_code == 200
        assert (await client.ask("get_state", auth=ADMIN)).status_code == 200
        assert (await client.ask("getuid?FILE=2&vcodec=h264", auth=guard)).status_code == 200
        assert (await client.ask(SETTER, "POST", guard)).status_code == 403
        assert client.notes == ["not_allowed"]


@pytest.mark.parametrize(
    ("scheme", "auth", "status"),
    [
        ("basic", httpx.BasicAuth("admin", "12345"), 204),
        ("basic", httpx.BasicAuth("admin", "wrong"), 401),
        ("both", httpx.BasicAuth("admin", "12345"), 204),
        ("digest", httpx.BasicAuth("admin", "12345"), 401),
    ],
)
async def test_basic_works_where_it_is_offered(scheme, auth, status):
    async with PovcamSimulator(auth_scheme=scheme, manners=CALM) as device:
        client = Client(device)
        assert (await client.ask(SETTER, "POST", auth)).status_code == status
        offered = (await client.ask(SETTER, "POST")).headers.get_list("www-authenticate")
        assert [header.split()[0] for header in offered] == {
            "basic": ["Basic"],
            "both": ["Digest", "Basic"],
            "digest": ["Digest"],
        }[scheme]


@pytest.mark.parametrize("who", [("admin", "wrong"), ("nobody", "12345")])
async def test_wrong_credentials_are_refused(client, who):
    assert (await client.ask(SETTER, "POST", httpx.DigestAuth(*who))).status_code == 401
    assert (client.notes, client.violations) == (["login_failed"], [])


async def test_a_nonce_is_used_again_with_a_growing_counter(client):
    challenge = (await client.ask(SETTER, "POST")).headers["www-authenticate"]
    for counter in ("00000001", "00000002", "0000000a"):
        headers = digest(challenge, SETTER, method="POST", nc=counter)
        assert (await client.ask(SETTER, "POST", headers=headers)).status_code == 204
    again = digest(challenge, SETTER, method="POST", nc="0000000a")
    assert (await client.ask(SETTER, "POST", headers=again)).status_code == 401
    assert client.violations == ["digest"]


async def test_a_digest_for_another_target_is_refused(client):
    challenge = (await client.ask(SETTER, "POST")).headers["www-authenticate"]
    headers = digest(challenge, SETTER, method="POST", uri="/cgi-bin/set_basic")
    assert (await client.ask(SETTER, "POST", headers=headers)).status_code == 401
    assert client.violations == ["digest"]


async def test_a_nonce_of_somebody_else_is_stale_and_no_failure(client):
    challenge = 'Digest realm="AG-UMR20", nonce="0123456789abcdef"'
    reply = await client.ask(SETTER, "POST", headers=digest(challenge, SETTER, method="POST"))
    assert reply.status_code == 401
    assert "stale=true" in reply.headers["www-authenticate"]
    assert (client.notes, client.violations) == ([], [])


@pytest.mark.parametrize("header", ["Digest", 'Digest username="admin"', "Bearer abc", "Basic ???"])
async def test_damaged_credentials_are_a_mistake(header):
    async with PovcamSimulator(auth_scheme="both") as device:
        client = Client(device)
        assert (await client.ask(SETTER, "POST", headers={"Authorization": header})).status_code == 401
        assert client.violations == ["digest"]


async def test_the_ninth_failed_login_within_the_window_locks_the_address_out():
    async with PovcamSimulator(auth_scheme="basic", manners=CALM) as device:
        client = Client(device)
        wrong, right = httpx.BasicAuth("admin", "no"), httpx.BasicAuth("admin", "12345")
        for _ in range(8):
            assert (await client.ask(SETTER, "POST", wrong)).status_code == 401
        assert (await client.ask(SETTER, "POST", right)).status_code == 204
        assert (await client.ask(SETTER, "POST", wrong)).status_code == 401
        assert (await client.ask(SETTER, "POST", right)).status_code == 403
        assert client.notes[-1] == "locked_out"
        assert (await client.ask("get_basic")).status_code == 200  # what needs no login is still answered


def test_a_lock_out_ends_and_old_failures_are_forgotten():
    now = 0.0
    door = Authenticator(
        (User("admin", "12345", Level.ADMIN),), realm="r", scheme="basic", clock=lambda: now, lockout=LockOut(2, 30, 60)
    )

    def knock(password: str, peer: str = "10.0.0.1") -> object:
        credentials = base64.b64encode(f"admin:{password}".encode()).decode()
        return door.check(Request("GET", "/", (("Authorization", f"Basic {credentials}"),), b"", peer))

    for moment in (0.0, 20.0, 40.0, 60.0):  # never three within 30 s
        now = moment
        assert isinstance(knock("no"), Failed)
        assert isinstance(knock("12345"), Allowed)
    assert isinstance(knock("no"), Failed)
    assert isinstance(knock("12345"), LockedOut)
    assert isinstance(knock("12345", "10.0.0.2"), Allowed)  # another address is not locked out
    now = 119.0
    assert isinstance(knock("12345"), LockedOut)
    now = 120.0
    assert isinstance(knock("12345"), Allowed)


def test_a_nonce_grows_old():
    now = 0.0
    door = Authenticator(
        (User("admin", "12345", Level.ADMIN),), realm="r", scheme="digest", clock=lambda: now, lockout=LockOut()
    )
    challenged = door.check(Request("GET", "/cgi-bin/x", (), b"", "10.0.0.1"))
    challenge = dict(challenged.headers)["WWW-Authenticate"]

    def knock(counter: str) -> object:
        return door.check(
            Request("GET", "/cgi-bin/x", tuple(digest(challenge, "x", nc=counter).items()), b"", "10.0.0.1")
        )

    assert isinstance(knock("00000001"), Allowed)
    now = 299.0
    assert isinstance(knock("00000002"), Allowed)
    now = 300.0
    stale = knock("00000003")
    assert isinstance(stale, Challenged)
    assert "stale=true" in dict(stale.headers)["WWW-Authenticate"]


async def test_challenges_alone_lock_nobody_out(client):
    for _ in range(12):
        assert (await client.ask(SETTER, "POST")).status_code == 401
    assert (await client.ask(SETTER, "POST", ADMIN)).status_code == 204
