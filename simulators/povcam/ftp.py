"""The transfer of clips to an FTP server (section 11.7), on a thread of its own.

Below the designated folder, which is made when it is missing, each transfer makes a folder AWnnnnnn whose number
follows the highest there is; while AW999999 is there, it cannot start. Into that folder goes the card's image: clips
where they are on the card, and for AVCHD the files that go with them.

Where the document is silent: the server is asked for its names by NLST; a transfer that cannot start has been answered
like any other and ends as an error; what was sent before an error or a cancellation stays on the server; the files
that go with AVCHD are small and have arbitrary contents.
"""

from __future__ import annotations

import contextlib
import ftplib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from simulators.povcam.cards import Cards, Clip, Transfer
from simulators.povcam.settings import NOWHERE, Ftp

SECONDS = 10.0  # that the recorder waits for anything the server should do
LAST = 999_999
PIECE = 64 * 1024
MANAGEMENT = {
    "AVCHD/BDMV/INDEX.BDM": b"INDX0200",
    "AVCHD/BDMV/MOVIEOBJ.BDM": b"MOBJ0200",
    "AVCHD/BDMV/PLAYLIST/00000.MPL": b"MPLS0200",
}


@dataclass
class TransferFaults:
    failing: int = 0
    """So many of the next transfers break off half way."""
    stalled: bool = False
    """Whether transfers stand still half way."""
    pause: float = 0.0
    """Seconds between two pieces of 64 KiB."""

    def clear(self) -> None:
        self.failing, self.stalled, self.pause = 0, False, 0.0


class Failed(Exception):
    """The transfer has come to its end; the sentence says why."""


class Sender(threading.Thread):
    def __init__(
        self,
        transfer: Transfer,
        cards: Cards,
        to: Ftp,
        local_host: str,
        content: Callable[[Clip], Iterator[bytes]],
        faults: TransferFaults,
        *,
        named: bool,
    ) -> None:
        """`named`: clips have the names of the list."""
        super().__init__(name="ftp-transfer", daemon=True)
        self._transfer, self._cards, self._to = transfer, cards, to
        self._local_host = local_host
        self._content = content
        self._faults = faults
        self._named = named
        self._total = sum(clip.size for clip in transfer.clips)
        self._breaks = faults.failing > 0
        faults.failing = max(0, faults.failing - 1)

    def run(self) -> None:
        transfer = self._transfer
        try:
            self._send()
            transfer.at = "finish"
        except Failed as error:
            transfer.why, transfer.at = str(error), "error"
        except (ftplib.Error, OSError, EOFError) as error:
            transfer.why, transfer.at = " ".join(str(error).split()) or type(error).__name__, "error"

    def _send(self) -> None:
        if self._to.server_addr == NOWHERE:
            raise Failed("no server is set")
        if not self._transfer.clips:
            raise Failed("there are no clips")
        with contextlib.closing(ftplib.FTP(timeout=SECONDS, encoding="utf-8")) as server:  # noqa: S321 -- it is one
            server.connect(self._to.server_addr, int(self._to.port_num), source_address=(self._local_host, 0))
            server.login(self._to.username, self._to.password)
            server.set_pasv(self._to.mode == "passive")
            self._enter_new_folder(server)
            self._transfer.at = "exec"
            made: set[str] = set()
            for path, clip in self._files():
                self._check()
                self._make_folders(server, path, made)
                self._store(server, path, clip)
            with contextlib.suppress(*ftplib.all_errors):  # everything is there: how the server says goodbye is its own
                server.quit()

    def _enter_new_folder(self, server: ftplib.FTP) -> None:
        if self._to.dirname:
            _enter(server, self._to.dirname)
        try:
            names = [PurePosixPath(name).name for name in server.nlst()]
        except ftplib.error_perm:  # what some servers answer for an empty folder
            names = []
        numbers = [int(name[2:]) for name in names if re.fullmatch(r"AW[0-9]{6}", name)]
        number = max(numbers, default=0) + 1
        if number > LAST:
            raise Failed("the server has a folder AW999999")
        self._check()
        folder = f"AW{number:06d}"
        server.mkd(folder)
        server.cwd(folder)

    def _files(self) -> Iterator[tuple[str, Clip | None]]:
        clips = self._transfer.clips
        if self._named:
            kinds = {"avchd": ("AVCHD", "MTS"), "mp4": ("DCIM", "MP4")}
            for clip in clips:
                folder, extension = kinds[clip.format]
                yield f"{folder}/{clip.name}.{extension}", clip
            return
        for clip in clips:
            yield clip.path, clip
        films = [clip for clip in clips if clip.format == "avchd"]
        if films:
            yield from ((path, None) for path in MANAGEMENT)
            yield from ((f"AVCHD/BDMV/CLIPINF/{PurePosixPath(clip.path).stem}.CPI", None) for clip in films)

    @staticmethod
    def _make_folders(server: ftplib.FTP, path: str, made: set[str]) -> None:
        for folder in reversed(PurePosixPath(path).parents[:-1]):
            if str(folder) not in made:
                server.mkd(str(folder))
                made.add(str(folder))

    def _store(self, server: ftplib.FTP, path: str, clip: Clip | None) -> None:
        server.voidcmd("TYPE I")
        data = server.transfercmd(f"STOR {path}")
        try:
            if clip is None:
                data.sendall(MANAGEMENT.get(path, b"HDMV0200") + bytes(64))
            else:
                for piece in self._content(clip):
                    for at in range(0, len(piece), PIECE):
                        self._pass(data, piece[at : at + PIECE])
        except Failed:
            _hang_up(data)
            _hang_up(server.sock)
            raise
        except OSError:
            data.close()
            server.voidresp()  # why the server closed the connection, if it says so
            raise
        data.close()
        server.voidresp()

    def _pass(self, data: socket.socket, piece: bytes) -> None:
        self._check()
        half = self._transfer.sent >= self._total // 2
        if half and self._breaks:
            raise Failed("the connection is lost")
        while half and self._faults.stalled:
            self._transfer.cancelled.wait(0.05)
            self._check()
        data.sendall(piece)
        self._transfer.sent += len(piece)
        if self._faults.pause:
            self._transfer.cancelled.wait(self._faults.pause)

    def _check(self) -> None:
        if self._transfer.cancelled.is_set():
            raise Failed("cancelled")
        card = self._cards.slots[self._transfer.slot]
        if card is None or card is not self._transfer.card or card.error:
            raise Failed("the card cannot be read")


def _enter(server: ftplib.FTP, folder: str) -> None:
    try:
        server.cwd(folder)
    except ftplib.error_perm:
        for part in PurePosixPath(folder).parts:
            with contextlib.suppress(ftplib.error_perm):  # it may be there: entering it tells
                server.mkd(part)
            server.cwd(part)


def _hang_up(connection: socket.socket | None) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
