"""RTSP 1.0 (RFC 2326), the client's side of it: requests out; answers and interleaved packets in.

    RTSP/1.0 200 OK ⏎  name: value ⏎ … ⏎  ⏎  body          an answer (section 7)
    $ [channel, 1 byte] [length, 2 bytes] [packet]         RTP or RTCP among the answers (section 10.12)
    GET_PARAMETER rtsp://… RTSP/1.0 ⏎ …                    a request of the server's, which few make

`Parser` takes whatever the connection gives, in any cut. `request` writes one request. What stands in the headers that
matter is read by `session`, `transport`, and `rtp_info`; challenges are those of HTTP, and read where those are.

Tolerated, because cameras do it: header names in any case; folded lines, and lines that are no header, which go on with
the line before (documents show Transport and RTP-Info so); blank lines between messages; LF alone; a missing reason;
any case of "RTSP"; blanks anywhere around a value. Not accepted: anything else between messages (after which nothing
can be trusted), HTTP answers. Limits: MAX_HEAD bytes and MAX_HEADERS lines of headers, MAX_BODY bytes of body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streaming.wire import Malformed

MAX_HEAD = 16 * 1024
MAX_HEADERS = 100
MAX_BODY = 64 * 1024

_STATUS = re.compile(r"RTSP/\d+\.\d+\s+(\d{3})(?:\s+(.*))?$", re.IGNORECASE)
_REQUEST = re.compile(r"([A-Z_]{3,20})\s+(\S+)\s+RTSP/\d+\.\d+$", re.IGNORECASE)
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*:[ \t]*(.*)$", re.DOTALL)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_DOLLAR = 0x24


class Interleaved(NamedTuple):
    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    headers: tuple[tuple[str, str], ...]  # names in lower case, in their order
    body: bytes

    def header(self, name: str) -> str:
        """The first of that name; nothing when there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def cseq(self) -> int | None:
        text = self.header("cseq")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


@dataclass(frozen=True, slots=True)
class Response(Message):
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Request(Message):
    method: str
    url: str


def request(method: str, url: str, cseq: int, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> bytes:
    """One request without a body. Headers are sent as given, after CSeq."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {cseq}", *(f"{name}: {value}" for name, value in items), "", ""]
    if any("\r" in line or "\n" in line for line in lines) or " " in url:
        raise ValueError("a line end or a blank in what is asked for")
    return "\r\n".join(lines).encode()


class Parser:
    """Bytes in, messages and packets out."""

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a message or packet that is not all here

    def feed(self, data: bytes) -> list[Response | Request | Interleaved]:
        whole = self._rest + data if self._rest else data
        end = len(whole)
        at = 0
        found: list[Response | Request | Interleaved] = []
        while at < end:
            first = whole[at]
            if first == _DOLLAR:
                if at + 4 > end:
                    break
                finish = at + 4 + (whole[at + 2] << 8 | whole[at + 3])
                if finish > end:
                    break
                found.append(Interleaved(whole[at + 1], whole[at + 4 : finish]))
                at = finish
            elif first in b"\r\n":
                at += 1
            else:
                message = _message(whole, at)
                if message is None:
                    break
                found.append(message[0])
                at = message[1]
        self._rest = whole[at:]
        return found


def _message(data: bytes, at: int) -> tuple[Response | Request, int] | None:
    """The message that begins here and where it ends; None when it is not all here."""
    found = _HEAD_END.search(data, at, at + MAX_HEAD)
    if found is None:
        # Better said at once than after more of what is no message.
        if len(data) - at >= MAX_HEAD or not re.match(rb"[A-Za-z_]", data[at : at + 1]):
            raise Malformed(f"no RTSP message: {data[at : at + 40]!r}")
        return None
    start, headers = _head(data[at : found.start()].decode("utf-8", "replace"))
    length = next((value for name, value in headers if name == "content-length"), "") or "0"
    if not (length.isascii() and length.isdigit() and len(length) < 10) or int(length) > MAX_BODY:
        raise Malformed(f"an RTSP body of {length[:20]} bytes")
    end = found.end() + int(length)
    if end > len(data):
        return None
    body = data[found.end() : end]
    status, asked = _STATUS.match(start), _REQUEST.match(start)
    if status:
        return Response(tuple(headers), body, int(status[1]), (status[2] or "").strip()), end
    if asked:
        return Request(tuple(headers), body, asked[1].upper(), asked[2]), end
    raise Malformed(f"no RTSP message: {start[:40]!r}")


def _head(text: str) -> tuple[str, list[tuple[str, str]]]:
    start, *lines = text.split("\n")
    if len(lines) > MAX_HEADERS:
        raise Malformed(f"{len(lines)} RTSP header lines")
    headers: list[tuple[str, str]] = []
    for line in lines:
        found = _HEADER.match(line)
        if found and line[:1] not in " \t":
            headers.append((found[1].lower(), found[2].strip()))
        elif headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip()}".strip())
    return start.strip(), headers


# --- What stands in headers -------------------------------------------------------------------------------------------
class Session(NamedTuple):
    id: str  # to be sent back as it is
    timeout: int  # seconds


DEFAULT_TIMEOUT = 60  # RFC 2326, 12.37


def session(value: str) -> Session:
    """0123456789;timeout=120"""
    number, *rest = (each.strip() for each in value.split(";"))
    if not number or len(number) > 256:
        raise Malformed("an answer without a session")
    for each in rest:
        name, _, text = each.partition("=")
        if name.strip().lower() == "timeout" and text.strip().isdecimal() and 0 < int(text[:9]) < 86_400:
            return Session(number, int(text[:9]))
    return Session(number, DEFAULT_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Transport:
    """What the server chose. Pairs are for RTP and RTCP; where it names one, the other is the next."""

    tcp: bool
    multicast: bool
    interleaved: tuple[int, int] | None = None  # channels
    client_port: tuple[int, int] | None = None
    server_port: tuple[int, int] | None = None
    port: tuple[int, int] | None = None  # of multicast
    destination: str = ""
    source: str = ""
    ttl: int | None = None
    ssrc: int | None = None


def transport(value: str) -> Transport:
    """RTP/AVP/TCP;unicast;interleaved=20-21;ssrc=4CACC3D1"""
    first, *rest = (each.strip() for each in value.split(",")[0].split(";"))
    if not first.upper().startswith("RTP/AVP"):
        raise Malformed(f"transport {first[:40]!r}")
    words = {}
    for each in rest:
        name, _, text = each.partition("=")
        words[name.strip().lower()] = text.strip().strip('"')
    return Transport(
        tcp=first.upper().endswith("/TCP") or "interleaved" in words,
        multicast="multicast" in words,
        interleaved=_pair(words.get("interleaved", ""), 255),
        client_port=_pair(words.get("client_port", ""), 65_535),
        server_port=_pair(words.get("server_port", ""), 65_535),
        port=_pair(words.get("port", ""), 65_535),
        destination=words.get("destination", ""),
        source=words.get("source", ""),
        ttl=_whole(words.get("ttl", ""), 255),
        ssrc=_ssrc(words.get("ssrc", "")),
    )


class TrackInfo(NamedTuple):
    url: str
    sequence: int | None  # of the first packet
    timestamp: int | None


_TRACK = re.compile(r"(?:^|[,\s])\s*url\s*=\s*", re.IGNORECASE)


def rtp_info(value: str) -> list[TrackInfo]:
    """url=trackID=1;seq=17;rtptime=4711,url=…; tracks may also be a line each. What cannot be read is left out."""
    found = []
    for each in _TRACK.split(value)[1:]:
        url, *rest = (part.strip(" \t\r\n,") for part in each.split(";"))
        words = dict(part.partition("=")[::2] for part in rest)
        numbers = {name.strip().lower(): text.strip() for name, text in words.items()}
        found.append(
            TrackInfo(url, _whole(numbers.get("seq", ""), 0xFFFF), _whole(numbers.get("rtptime", ""), 2**32 - 1))
        )
    return found


def _pair(text: str, largest: int) -> tuple[int, int] | None:
    first, dash, second = text.partition("-")
    low = _whole(first.strip(), largest)
    if low is None:
        return None
    high = _whole(second.strip(), largest) if dash else low + 1
    return None if high is None else (low, high)


def _whole(text: str, largest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    return int(text) if int(text) <= largest else None


def _ssrc(text: str) -> int | None:
    return int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", text) else None
