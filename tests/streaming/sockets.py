"""A WebSocket client of the application, without a server between. (Channels' own needs daphne installed.)"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

from asgiref.testing import ApplicationCommunicator


class Socket(ApplicationCommunicator):  # type: ignore[misc]
    def __init__(self, application: Any, address: str, headers: list[tuple[bytes, bytes]]) -> None:
        parts = urlsplit(address)
        scope = {
            "type": "websocket",
            "path": unquote(parts.path),
            "query_string": parts.query.encode(),
            "headers": headers,
            "subprotocols": [],
            "client": ("127.0.0.1", 50000),
        }
        super().__init__(application, scope)

    async def connect(self) -> None:
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(10))["type"] == "websocket.accept"

    async def receive(self) -> str | bytes:
        message = await self.receive_output(10)
        assert message["type"] == "websocket.send", message
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def told(self) -> dict[str, Any]:
        text = await self.receive()
        assert isinstance(text, str), "a text message was expected"
        return dict(json.loads(text))

    async def picture(self) -> bytes:
        data = await self.receive()
        assert isinstance(data, bytes), f"a fragment was expected: {data!r}"
        return data

    async def closing(self) -> tuple[int, str]:
        """The close code and the reason, whatever is sent before."""
        while True:
            message = await self.receive_output(10)
            if message["type"] == "websocket.close":
                return message["code"], message["reason"]

    async def send(self, text: str) -> None:
        await self.send_input({"type": "websocket.receive", "text": text})

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(10)
