"""What happens when the recorder is told to live at another address, and to speak HTTPS."""

import socket
import ssl

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from simulators.povcam import PovcamSimulator
from tests.ports import free_port
from tests.simulators.helpers import ADMIN, Client, eventually, fields

SUBJECT = "common_name=recorder.example&country=JP&state=Osaka&locality=Kadoma&organization=POV&organization_unit=Video"


async def test_it_tells_where_it_listens(client):
    told = await client.read("get_network")
    assert (told["ip4_addr"], told["port"]) == ("127.0.0.1", str(client.device.port))
    assert (told["rtsp_port"], told["ip4_dhcp"]) == ("0", "0")


async def test_it_is_away_for_a_moment_and_comes_back_at_the_new_port(quick):
    uid = await quick.uid()
    old, new = quick.device.port, free_port()
    await quick.set(f"network?port={new}")
    await eventually(lambda: quick.device.port == new)
    await quick.restarted()
    told = await quick.read("get_network")
    assert told["port"] == str(new)
    assert fields(await quick.ask("getuid?FILE=2&vcodec=h264"))["iHttpPort"] == str(new)
    assert (await quick.ask(f"keep_alive?mode=h.264&protocol=rtp&UID={uid}&stream=1")).status_code == 500
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", old), 1):
        pass


async def test_it_really_takes_another_loopback_address(quick):
    await quick.set("network?IP_addr1=127&IP_addr2=0&IP_addr3=7&IP_addr4=9")
    await eventually(lambda: quick.device.host == "127.0.7.9")
    await quick.restarted()
    assert (await quick.read("get_network"))["ip4_addr"] == "127.0.7.9"
    await quick.set("network?IP_addr3=0&IP_addr4=1")
    await eventually(lambda: quick.device.host == "127.0.0.1")


async def test_an_address_it_cannot_have_is_only_told(quick):
    await quick.set("network?IP_addr1=192&IP_addr2=168&IP_addr3=0&IP_addr4=10&gateway1=192&gateway4=1")
    told = await quick.read("get_network")
    assert (told["ip4_addr"], told["ip4_gateway"]) == ("192.168.0.10", "192.168.0.1")
    assert quick.device.host == "127.0.0.1"


async def test_a_port_that_is_taken_changes_nothing(quick):
    async with PovcamSimulator() as other:
        reply = await quick.ask(f"network?port={other.port}&mss=1024", "POST", ADMIN)
        assert (reply.status_code, quick.notes) == (500, ["address"])
    told = await quick.read("get_network")
    assert (told["port"], told["mss"]) == (str(quick.device.port), "1460")


async def test_packets_get_smaller_when_they_are_limited(client, rtp_port):
    await client.set("set_rtp?rtp_size=1280")
    uid = await client.uid()
    await client.ask(f"h264?my_port={rtp_port.number}&connect=start&protocol=rtp&UID={uid}&stream=1")
    await rtp_port.pictures(2)
    sizes = [len(packet.payload) for packet in rtp_port.packets]
    assert 1100 < max(sizes) <= 1240


# HTTPS


async def made(client: Client, what: str) -> None:
    await client.until(f"renewal?cgi_name={what}", status="finish")


async def test_a_certificate_is_made_shown_and_deleted(quick):
    assert await quick.read("https_self_signed?mode=get_info") == {"exist": "0"}
    assert await quick.read("renewal?cgi_name=self_create") == {"status": "none"}
    assert (await quick.ask(f"https_creat_self_signed?{SUBJECT}", auth=ADMIN)).status_code == 204
    await made(quick, "self_create")
    told = await quick.read("https_self_signed?mode=get_info")
    assert (told["exist"], told["common_name"], told["organization_unit"]) == ("1", "recorder.example", "Video")
    assert (await quick.ask("https_self_signed?mode=delete", auth=ADMIN)).status_code == 204
    assert await quick.read("https_self_signed?mode=get_info") == {"exist": "0"}
    assert quick.violations == []


async def test_making_takes_a_moment(quick, monkeypatch):
    await quick.ask(f"https_creat_self_signed?{SUBJECT}", auth=ADMIN)
    monkeypatch.setattr("simulators.povcam.certificates.time.monotonic", lambda: 0.0)
    assert await quick.read("renewal?cgi_name=self_create") == {"status": "exec"}
    assert (await quick.ask("set_https?live=https", auth=ADMIN)).status_code == 500


async def test_a_request_for_a_certificate_is_a_real_one(quick):
    assert (await quick.ask("https_download_csr", auth=ADMIN)).status_code == 500
    await quick.ask(f"https_creat_signed?{SUBJECT}", auth=ADMIN)
    await made(quick, "csr_create")
    reply = await quick.ask("https_download_csr", auth=ADMIN)
    request = x509.load_pem_x509_csr(reply.content)
    assert request.is_signature_valid
    assert request.public_key().key_size == 2048
    assert request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "recorder.example"
    assert request.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value == "JP"


async def test_a_country_in_words_is_taken_and_left_out_of_the_request(quick):
    target = "https_creat_signed?common_name=a.example&country=Japan"
    assert (await quick.ask(target, auth=ADMIN)).status_code == 204
    await made(quick, "csr_create")
    request = x509.load_pem_x509_csr((await quick.ask("https_download_csr", auth=ADMIN)).content)
    assert request.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME) == []


async def test_a_new_key_ends_what_was_made_with_the_old_one(quick):
    await quick.ask(f"https_creat_self_signed?{SUBJECT}", auth=ADMIN)
    await made(quick, "self_create")
    assert (await quick.ask("https_crt_key?mode=refresh", auth=ADMIN)).status_code == 500  # there is no earlier one
    assert (await quick.ask("https_change_crt_key?rsa_length=2048", auth=ADMIN)).status_code == 204
    await made(quick, "key_create")
    assert await quick.read("get_crt_key") == {"exist": "1", "rsa_length": "2048"}
    assert await quick.read("https_self_signed?mode=get_info") == {"exist": "0"}
    assert (await quick.ask("https_crt_key?mode=refresh", auth=ADMIN)).status_code == 204


async def test_nobody_can_install_a_certificate(client):
    assert (await client.ask("https_install_signed", auth=ADMIN)).status_code == 500
    assert await client.read("https_signed?mode=get_info") == {"exist": "0"}
    assert await client.read("renewal?cgi_name=ca_install") == {"status": "none"}
    assert (await client.ask("https_signed?mode=delete", auth=ADMIN)).status_code == 204
    assert (client.violations, client.notes) == ([], ["no_body"])


async def test_the_web_server_speaks_https_when_told_and_http_again(quick):
    clear, secure = quick.device.port, free_port()
    await quick.ask(f"https_creat_self_signed?{SUBJECT}", auth=ADMIN)
    await made(quick, "self_create")
    assert (await quick.ask(f"set_https?live=https&https_port={secure}", auth=ADMIN)).status_code == 204
    await eventually(lambda: quick.device.url == f"https://127.0.0.1:{secure}")
    await quick.restarted()
    assert await quick.read("get_https") == {"live": "https", "https_port": str(secure)}
    trusted = ssl.create_default_context(cadata=quick.device.certificate.pem.decode())
    trusted.check_hostname = False
    async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
        assert (await http.get(f"{quick.device.url}/cgi-bin/get_https")).status_code == 200
    for target in ("https_self_signed?mode=delete", "https_change_crt_key?rsa_length=2048"):
        assert (await quick.ask(target, auth=ADMIN)).status_code == 500
    assert (await quick.ask("set_https?live=http", auth=ADMIN)).status_code == 204
    await eventually(lambda: quick.device.url == f"http://127.0.0.1:{clear}")
    await quick.restarted(2)
    assert (await quick.read("get_https"))["live"] == "http"
    assert quick.violations == []


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("set_https", "missing_parameter"),
        ("set_https?live=tls", "value"),
        ("set_https?https_port=0", "value"),
        ("https_creat_self_signed?country=JP", "missing_parameter"),
        ("https_creat_signed?country=JP&common_name=a", "order"),
        ("https_change_crt_key?rsa_length=1024", "value"),
        ("https_change_crt_key", "missing_parameter"),
        ("https_crt_key?mode=delete", "value"),
        ("renewal?cgi_name=ca_create", "value"),
        ("https_self_signed?mode=show", "value"),
    ],
)
async def test_wrong_https_commands_are_refused(client, target, kind):
    reply = await client.ask(target, auth=ADMIN)
    assert (reply.status_code, client.violations) == (400, [kind])


async def test_https_paths_need_cgi_bin_and_an_administrator(client):
    assert (await client.ask("/https_self_signed?mode=get_info", auth=ADMIN)).status_code == 404
    assert (await client.ask("https_self_signed?mode=get_info")).status_code == 401
    assert (await client.ask("set_https?live=http", "POST", ADMIN)).status_code == 405
