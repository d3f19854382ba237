"""Help for the tests of the simulated recorder: a plain client that sends a target exactly as it is written."""

import re
from dataclasses import dataclass, field

import httpx

from simulators.ipro import IproSimulator
from simulators.ipro.device import Gaps

CALM = Gaps(general=0, camera=0)
ADMIN = httpx.DigestAuth("ADMIN", "12345")


@dataclass
class Recorder:
    device: IproSimulator
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(trust_env=False, timeout=5, verify=False))

    async def ask(self, target: str, method: str = "GET", auth: httpx.Auth | None = None, **more) -> httpx.Response:
        # httpx would tidy the query up: the raw path keeps it as the test wrote it.
        path = target if target.startswith("/") else f"/cgi-bin/{target}"
        url = httpx.URL(self.device.url).copy_with(raw_path=path.encode("latin-1"))
        return await self.http.request(method, url, auth=auth, **more)

    async def says(self, target: str) -> int:
        return (await self.ask(target)).status_code

    async def login(self, auth: httpx.Auth = ADMIN) -> str:
        reply = await self.ask("dlogin.cgi?UID=-1", auth=auth)
        assert reply.status_code == 200
        return re.search(r"hdrctl\.cgi\?UID=(\d+)&", reply.text)[1]

    async def live(self) -> str:
        """A UID that may start live pictures."""
        uid = await self.login()
        assert await self.says(f"hdrctl.cgi?UID={uid}&SCREEN=16X&PC=AS60") == 200
        return uid

    async def playing(self) -> str:
        """A UID that plays cameras 1 and 2."""
        uid = await self.login()
        assert await self.says(f"hdrctl.cgi?UID={uid}&PC=AS60&MASK=1100000000000000") == 200
        play = "PLAYCMD=PLAY&2ND=OFF&TIMEF=AS60_UNKNOWN&NOTIME=ON"
        assert await self.says(f"hdrctl.cgi?UID={uid}&PC=AS60&{play}") == 200
        return uid

    async def fault(self, **details) -> httpx.Response:
        return await self.ask("/_sim/fault", "POST", json=details)

    def session(self, uid: str) -> dict | None:
        return next((session for session in self.device.sessions() if session["uid"] == uid), None)

    def camera(self, number: int) -> dict:
        return self.device.state()["cameras"][str(number)]

    @property
    def violations(self) -> list[str]:
        return [remark.kind for remark in self.device.violations]

    @property
    def notes(self) -> list[str]:
        return [remark.kind for remark in self.device.notes]
