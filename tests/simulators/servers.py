"""Servers that devices push to, as other people write them: FTP by pyftpdlib, mail by aiosmtpd."""

import asyncio
import errno
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

logging.getLogger("pyftpdlib").setLevel(logging.WARNING)


class _Small:
    """A file on a disk with little room."""

    def __init__(self, file, server: "FtpServer") -> None:
        self._file, self._server = file, server

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._server.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str):
        return getattr(self._file, name)


class FtpServer:
    """One user, user1 with password secret99, and a folder of his own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[str] = []
        """What was asked, in order, without its arguments."""
        self.peers: set[str] = set()
        self.room = 1 << 62
        """Bytes of a file it takes."""
        authorizer = DummyAuthorizer()
        authorizer.add_user("user1", "secret99", str(folder), perm="elradfmw")
        outer = self

        class Disk(AbstractedFS):
            def open(self, filename: str, mode: str):
                file = super().open(filename, mode)
                return _Small(file, outer) if "w" in mode else file

        class Handler(FTPHandler):
            abstracted_fs = Disk
            auth_failed_timeout = 0

            def on_connect(self) -> None:
                outer.peers.add(self.remote_ip)

            def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
                outer.commands.append(cmd)
                super().pre_process_command(line, cmd, arg)

        Handler.authorizer = authorizer
        self._server = FTPServer(("127.0.0.1", 0), Handler)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return self._server.address[1]

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._server.ioloop.loop(timeout=0.02, blocking=False)
        self._server.close_all()

    def files(self) -> dict[str, Path]:
        """All files by their path below the user's folder."""
        return {str(path.relative_to(self.folder)): path for path in sorted(self.folder.rglob("*")) if path.is_file()}

    def __enter__(self) -> "FtpServer":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join(5)


@dataclass
class MailServer:
    """Takes every mail; with a `password` only of whoever says it."""

    password: str = ""
    mails: list[Envelope] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Who signed in."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"

    def _authenticate(self, server, session, envelope, mechanism: str, said: LoginPassword) -> AuthResult:
        self.names.append(said.login.decode())
        return AuthResult(success=said.password.decode() == self.password, handled=False)

    @property
    def port(self) -> int:
        return self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> "MailServer":
        wanted = {"authenticator": self._authenticate, "auth_required": True} if self.password else {}
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="mail", auth_require_tls=False, **wanted), "127.0.0.1", 0
        )
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
