"""Pictures a camera sends by itself: by FTP (upload.cgi) and by mail (email.cgi), on schedule, by hand, on motion.

There are four ways, each with a task of its own while it is switched on: by schedule, while Schedule…Enable is 1, and
by hand, while …ManualEnable is 1 and somebody has switched ImageUpload or ImageEmail on at /iocontrol.cgi. The document
has no command that tests the settings; switching one of these on is the test.

Where the document is silent:
  - a still is a connection of its own. FTPDirectoryPath must be there; a camera makes no folders;
  - names: base.jpg; base and date, time and hundredths; base and a number of as many digits as the highest has, which
    begins again with 1 after it. An empty base is "image";
  - Auto is five pictures a second, by hand it is one a second;
  - a schedule that ends before it starts goes on over midnight; what counts is the day it is then;
  - a mail goes to port 25 without encryption, has the picture attached, and says who it is only with an EmailUserName;
  - motion sends one picture by each way that is enabled by hand;
  - what fails is not sent again: the next picture is tried instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import io
import smtplib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from simulators.ipcam.replies import Table

SECONDS = 10.0  # that a server may take for anything
AUTO_RATE = 5
BY_HAND_SECONDS = 1.0
LOOK_SECONDS = 0.5  # how often a schedule is looked at
SMTP_PORT = 25
DEFAULT_BASE = "image"
FAILURES: tuple[type[Exception], ...] = (ftplib.Error, smtplib.SMTPException, OSError, EOFError, ValueError)


@dataclass
class Tally:
    """What became of the pictures sent one way."""

    sent: int = 0
    failed: int = 0
    error: str = ""
    """Of the last one that failed."""


@dataclass
class Uploads:
    settings: Mapping[str, Table]
    switches: Mapping[str, str]
    """Those of /iocontrol.cgi."""
    picture: Callable[[], Awaitable[bytes]]
    local_time: Callable[[], datetime]
    host: Callable[[], str]
    """The camera's own address."""
    smtp_port: int = SMTP_PORT
    halves: int = 0
    """So many of the next stills end in the middle."""
    tallies: dict[str, Tally] = field(default_factory=lambda: {"ftp": Tally(), "mail": Tally()})
    _ways: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _moments: set[asyncio.Task[None]] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None
    """Of its own: a server that hangs must not keep the pictures waiting."""

    def apply(self) -> None:
        """Begin and end what the settings and switches say."""
        ftp, mail = self.settings["/upload.cgi"], self.settings["/email.cgi"]
        wanted = {
            "FTPSchedule": ftp["FTPScheduleEnable"] == "1",
            "FTPManual": ftp["FTPManualEnable"] == "1" and self.switches["ImageUpload"] == "1",
            "EmailSchedule": mail["EmailScheduleEnable"] == "1",
            "EmailManual": mail["EmailManualEnable"] == "1" and self.switches["ImageEmail"] == "1",
        }
        for way, on in wanted.items():
            if on and way not in self._ways:
                self._ways[way] = asyncio.create_task(self._run(way))
            elif not on and way in self._ways:
                self._ways.pop(way).cancel()

    def stop(self) -> None:
        for task in (*self._ways.values(), *self._moments):
            task.cancel()
        self._ways.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def motion(self) -> None:
        """Something moves in the picture."""
        for way, table in (("FTPManual", "/upload.cgi"), ("EmailManual", "/email.cgi")):
            if self.settings[table][f"{way}Enable"] == "1":
                task = asyncio.create_task(self._send(way))
                self._moments.add(task)
                task.add_done_callback(self._moments.discard)

    def state(self) -> dict[str, Any]:
        return {way: asdict(tally) for way, tally in self.tallies.items()}

    async def _run(self, way: str) -> None:
        while True:
            if way.endswith("Schedule") and not self._is_time(way):
                await asyncio.sleep(LOOK_SECONDS)
                continue
            await self._send(way)
            await asyncio.sleep(self._interval(way))

    def _is_time(self, way: str) -> bool:
        table = self.settings["/upload.cgi" if way.startswith("FTP") else "/email.cgi"]
        if table[f"{way}Mode"] == "0":
            return True
        now = self.local_time()
        if not int(table[f"{way}Day"]) >> now.isoweekday() % 7 & 1:
            return False
        start, stop, moment = table[f"{way}TimeStart"], table[f"{way}TimeStop"], f"{now:%H:%M:%S}"
        return start <= moment < stop if start <= stop else moment >= start or moment < stop

    def _interval(self, way: str) -> float:
        ftp = self.settings["/upload.cgi"]
        if way == "FTPManual":
            return BY_HAND_SECONDS
        if way != "FTPSchedule":
            return float(self.settings["/email.cgi"][f"{way}Interval"])
        if ftp["FTPScheduleVideoFrequencyMode"] == "1":
            return float(ftp["FTPScheduleSecondPerFrame"])
        rate = ftp["FTPScheduleFramePerSecond"]
        return 1 / (AUTO_RATE if rate == "Auto" else int(rate))

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(4, thread_name_prefix="uploads")  # one for each way
        await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def _send(self, way: str) -> None:
        by_ftp = way.startswith("FTP")
        tally = self.tallies["ftp" if by_ftp else "mail"]
        picture = await self.picture()
        try:
            if by_ftp:
                table = dict(self.settings["/upload.cgi"])
                if self.halves:
                    self.halves -= 1
                    picture = picture[: len(picture) // 2]
                await self._in_thread(_store, table, self._name(way, table), picture, self.host())
            else:
                table = self.settings["/email.cgi"] | self.settings["/system.cgi"]
                mail = _mail(table, picture, self.local_time())
                await self._in_thread(_deliver, table, mail, self.smtp_port, self.host())
            tally.sent += 1
        except FAILURES as error:
            tally.failed += 1
            tally.error = " ".join(str(error).split()) or type(error).__name__

    def _name(self, way: str, table: Table) -> str:
        base = table[f"{way}BaseFileName"] or DEFAULT_BASE
        match table[f"{way}FileMode"]:
            case "0":
                return f"{base}.jpg"
            case "1":
                now = self.local_time()
                return f"{base}{now:%Y%m%d%H%M%S}{now.microsecond // 10_000:02d}.jpg"
        highest = table[f"{way}MaxFileSequenceNumber"]
        number = self._numbers[way] = self._numbers.get(way, 0) % int(highest) + 1
        return f"{base}{number:0{len(highest)}d}.jpg"


def _store(table: Table, name: str, picture: bytes, host: str) -> None:
    if not table["FTPHostAddress"]:
        raise ValueError("no FTP server is set")
    with contextlib.closing(ftplib.FTP(timeout=SECONDS, encoding="utf-8")) as server:  # noqa: S321 -- it is one
        server.connect(table["FTPHostAddress"], int(table["FTPPortNumber"]), source_address=(host, 0))
        server.login(table["FTPUserName"], table["FTPPassword"])
        server.set_pasv(table["FTPPassiveMode"] == "1")
        if table["FTPDirectoryPath"]:
            server.cwd(table["FTPDirectoryPath"])
        server.storbinary(f"STOR {name}", io.BytesIO(picture))
        with contextlib.suppress(*ftplib.all_errors):  # the picture is there: how the server says goodbye is its own
            server.quit()


def _mail(table: Table, picture: bytes, now: datetime) -> EmailMessage:
    if not table["EmailSenderAddress"] or not table["EmailReceiverAddress"]:
        raise ValueError("the sender or the receiver is not set")
    mail = EmailMessage()
    mail["From"], mail["To"] = table["EmailSenderAddress"], table["EmailReceiverAddress"]
    mail["Subject"] = f"Image of {table['CameraName']}"
    mail.set_content(f"{table['CameraName']} {now:%Y-%m-%d %H:%M:%S}\n")
    mail.add_attachment(picture, "image", "jpeg", filename=f"{DEFAULT_BASE}{now:%Y%m%d%H%M%S}.jpg")
    return mail


def _deliver(table: Table, mail: EmailMessage, port: int, host: str) -> None:
    if not table["EmailSMTPServerAddress"]:
        raise ValueError("no SMTP server is set")
    address = table["EmailSMTPServerAddress"]
    with smtplib.SMTP(address, port, local_hostname="camera", timeout=SECONDS, source_address=(host, 0)) as server:
        if table["EmailUserName"]:
            server.login(table["EmailUserName"], table["EmailPassword"])
        server.send_message(mail)
