"""What an IPCam sends by itself, by FTP and by mail, to servers that other people wrote."""

import asyncio
import contextlib
import email
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from simulators.ipcam import IpcamSimulator
from tests.simulators.cameras import Camera, fields
from tests.simulators.helpers import eventually
from tests.simulators.media import strip
from tests.simulators.servers import FtpServer, MailServer

WEDNESDAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp()
MAIL = {
    "EmailSMTPServerAddress": "127.0.0.1",
    "EmailSenderAddress": "yard@example.org",
    "EmailReceiverAddress": "guard@example.org",
}


@contextlib.asynccontextmanager
async def camera(**settings) -> AsyncIterator[Camera]:
    async with (
        IpcamSimulator(seed=7, name="Yard", control=True, reboot_seconds=0.1, **settings) as device,
        httpx.AsyncClient(trust_env=False, timeout=5) as http,
    ):
        yield Camera(device, http)


async def put(to: Camera, path: str, **values: str | int) -> None:
    body = "&".join(f"{name}={quote(str(value), safe=':-_.,')}" for name, value in values.items())
    told = fields(await to.post(path, body))
    assert {name: told[name] for name in values if name != "ConfigReboot"} == {
        name: str(value) for name, value in values.items() if name != "ConfigReboot"
    }


async def switch(to: Camera, name: str, on: bool = True) -> None:
    assert (await to.post("/iocontrol.cgi", f"{name}={on:d}")).status_code == 204


def server(ftp: FtpServer, **more: str | int) -> dict[str, str | int]:
    known = {"FTPHostAddress": "127.0.0.1", "FTPPortNumber": ftp.port, "FTPUserName": "user1"}
    return known | {"FTPPassword": "secret99", "FTPDirectoryPath": "/"} | more


def tally(of: Camera, way: str) -> dict:
    return of.device.state()["uploads"][way]


# FTP


@pytest.mark.parametrize("passive", [0, 1])
async def test_a_still_is_sent_while_somebody_has_it_switched_on(ftp_server, passive):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **server(ftp_server, FTPPassiveMode=passive, FTPManualEnable=1))
        await put(yard, "/upload.cgi", FTPManualFileMode=0, FTPManualBaseFileName="gate north")
        await switch(yard, "ImageUpload")
        await eventually(lambda: tally(yard, "ftp")["sent"])
        await switch(yard, "ImageUpload", on=False)
        assert list(ftp_server.files()) == ["gate north.jpg"]
        assert strip(ftp_server.files()["gate north.jpg"].read_bytes())[0] == 7
        assert ({"PORT", "EPRT"} & set(ftp_server.commands) == set()) == bool(passive)
        assert (yard.violations, yard.notes) == ([], [])


async def test_nothing_is_sent_by_hand_unless_it_is_enabled(ftp_server):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **server(ftp_server))
        await switch(yard, "ImageUpload")
        yard.device.inject("motion")
        assert yard.device._uploads._ways == {}
        await put(yard, "/upload.cgi", FTPManualEnable=1)
        await eventually(lambda: tally(yard, "ftp")["sent"])


async def test_motion_sends_one_picture_by_each_way(ftp_server):
    async with MailServer() as mails, camera(smtp_port=mails.port) as yard:
        await put(yard, "/upload.cgi", **server(ftp_server, FTPManualEnable=1))
        await put(yard, "/email.cgi", **MAIL, EmailManualEnable=1)
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "ftp")["sent"] == tally(yard, "mail")["sent"] == 1)
        (name,) = ftp_server.files()
        assert re.fullmatch(r"image20\d{14}\.jpg", name)
        assert len(mails.mails) == 1


async def test_numbers_begin_again_after_the_highest(ftp_server):
    async with camera() as yard:
        await put(
            yard,
            "/upload.cgi",
            **server(ftp_server, FTPScheduleFileMode=2, FTPScheduleMaxFileSequenceNumber=12),
            FTPScheduleFramePerSecond="Auto",
        )
        yard.device._uploads._numbers["FTPSchedule"] = 10
        await put(yard, "/upload.cgi", FTPScheduleEnable=1)
        await eventually(lambda: tally(yard, "ftp")["sent"] >= 3)
        await put(yard, "/upload.cgi", FTPScheduleEnable=0)
        assert {"video01.jpg", "video11.jpg", "video12.jpg"} <= set(ftp_server.files())


SCHEDULES = [
    ({"FTPScheduleMode": 0, "FTPScheduleDay": 0}, True),
    ({"FTPScheduleMode": 1, "FTPScheduleDay": 8}, True),
    ({"FTPScheduleMode": 1, "FTPScheduleDay": 127 - 8}, False),
    ({"FTPScheduleMode": 1, "FTPScheduleTimeStart": "11:59:59", "FTPScheduleTimeStop": "12:00:01"}, True),
    ({"FTPScheduleMode": 1, "FTPScheduleTimeStart": "12:00:01", "FTPScheduleTimeStop": "18:00:00"}, False),
    ({"FTPScheduleMode": 1, "FTPScheduleTimeStart": "22:00:00", "FTPScheduleTimeStop": "12:30:00"}, True),
    ({"FTPScheduleMode": 1, "FTPScheduleTimeStart": "22:00:00", "FTPScheduleTimeStop": "06:00:00"}, False),
]


@pytest.mark.parametrize(("schedule", "due"), SCHEDULES)
async def test_a_schedule_has_days_and_hours(schedule, due):
    async with camera(now=lambda: WEDNESDAY) as yard:
        await put(yard, "/upload.cgi", **schedule)
        assert yard.device._uploads._is_time("FTPSchedule") == due


async def test_a_schedule_begins_when_its_time_comes(ftp_server):
    clock = [WEDNESDAY]
    async with camera(now=lambda: clock[0]) as yard:
        await put(
            yard,
            "/upload.cgi",
            **server(ftp_server, FTPScheduleEnable=1, FTPScheduleMode=1, FTPScheduleTimeStart="13:00:00"),
        )
        await asyncio.sleep(0.1)
        assert ftp_server.files() == {}
        clock[0] += 3600
        await eventually(lambda: tally(yard, "ftp")["sent"])
        assert next(iter(ftp_server.files())).startswith("video20261125130000")


@pytest.mark.parametrize(
    ("frequency", "seconds"),
    [
        ({"FTPScheduleVideoFrequencyMode": 0, "FTPScheduleFramePerSecond": "2"}, 0.5),
        ({"FTPScheduleVideoFrequencyMode": 0, "FTPScheduleFramePerSecond": "Auto"}, 0.2),
        ({"FTPScheduleVideoFrequencyMode": 1, "FTPScheduleSecondPerFrame": 600}, 600),
    ],
)
async def test_a_schedule_has_a_frequency(frequency, seconds):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **frequency)
        assert yard.device._uploads._interval("FTPSchedule") == seconds


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"FTPPassword": "other"}, "530"),
        ({"FTPPortNumber": 1}, "refused"),
        ({"FTPDirectoryPath": "/nowhere"}, "550"),
        ({"FTPHostAddress": ""}, "no FTP server is set"),
    ],
)
async def test_what_cannot_be_sent_is_counted_and_told(ftp_server, wrong, why):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **server(ftp_server, FTPManualEnable=1, **wrong))
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "ftp")["failed"] == 1)
        assert why in tally(yard, "ftp")["error"]
        assert ftp_server.files() == {}


async def test_a_still_can_arrive_by_half(ftp_server):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **server(ftp_server, FTPManualEnable=1))
        yard.device.inject("half-uploads", times=1)
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "ftp")["sent"] == 1)
        (file,) = ftp_server.files().values()
        assert not file.read_bytes().endswith(b"\xff\xd9")


async def test_a_restart_keeps_what_is_set_and_switched_on(ftp_server):
    async with camera() as yard:
        await put(yard, "/upload.cgi", **server(ftp_server, FTPScheduleEnable=1), ConfigReboot="Yes")
        await eventually(lambda: tally(yard, "ftp")["sent"])
        sent = tally(yard, "ftp")["sent"]
        await eventually(lambda: tally(yard, "ftp")["sent"] > sent + 1)


# Mail


async def test_a_mail_has_the_picture_attached():
    async with MailServer() as mails:
        async with camera(smtp_port=mails.port, now=lambda: WEDNESDAY) as yard:
            await put(yard, "/email.cgi", **MAIL, EmailManualEnable=1)
            await switch(yard, "ImageEmail")
            await eventually(lambda: mails.mails)
        envelope = mails.mails[0]
        assert (envelope.mail_from, envelope.rcpt_tos) == ("yard@example.org", ["guard@example.org"])
        mail = email.message_from_bytes(envelope.content)
        assert mail["Subject"] == "Image of Yard"
        text, picture = mail.get_payload()
        assert text.get_payload().strip() == "Yard 2026-11-25 12:00:00"
        assert (picture.get_content_type(), picture.get_filename()) == ("image/jpeg", "image20261125120000.jpg")
        content = picture.get_payload(decode=True)
        assert strip(content)[0] == 7
        assert Image.open(io.BytesIO(content)).size == (640, 480)


async def test_mails_come_at_their_interval_while_the_schedule_is_on():
    async with MailServer() as mails, camera(smtp_port=mails.port) as yard:
        await put(yard, "/email.cgi", **MAIL, EmailScheduleInterval=1, EmailScheduleEnable=1)
        await eventually(lambda: len(mails.mails) >= 2)
        await put(yard, "/email.cgi", EmailScheduleEnable=0)
        assert yard.device._uploads._ways == {}


@pytest.mark.parametrize(("word", "sent"), [("word", True), ("other", False)])
async def test_a_camera_with_a_name_says_who_it_is(word, sent):
    async with MailServer(password="word") as mails, camera(smtp_port=mails.port) as yard:
        await put(yard, "/email.cgi", **MAIL, EmailManualEnable=1, EmailUserName="yard", EmailPassword=word)
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "mail")["sent" if sent else "failed"] == 1)
        assert mails.names
        assert set(mails.names) == {"yard"}
        assert len(mails.mails) == sent


async def test_a_mail_without_a_server_or_a_receiver_fails():
    async with camera() as yard:
        await put(yard, "/email.cgi", EmailManualEnable=1)
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "mail")["failed"] == 1)
        assert "receiver is not set" in tally(yard, "mail")["error"]
        await put(yard, "/email.cgi", **MAIL | {"EmailSMTPServerAddress": ""})
        yard.device.inject("motion")
        await eventually(lambda: tally(yard, "mail")["failed"] == 2)
        assert tally(yard, "mail")["error"] == "no SMTP server is set"


async def test_a_real_camera_delivers_to_port_25():
    async with camera() as yard:
        assert yard.device._uploads.smtp_port == 25
