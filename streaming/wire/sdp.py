"""Session descriptions (SDP, RFC 4566) as RTSP servers answer DESCRIBE (RFC 2326, appendix C) → what can be set up.

    m=video 0 RTP/AVP 98                    kind, port, payload type
    c=IN IP4 239.192.0.20/16                where to, and how far
    a=rtpmap:98 H264/90000                  encoding, clock
    a=fmtp:98 packetization-mode=1; …       what a decoder needs
    a=control:trackID=1                     what to SETUP

Tolerated: lines that end with LF alone; lines that are nothing of SDP, which go on with the line before (documents show
fmtp on two); attributes in any order and case; encodings that only their payload type tells (RFC 3551); a missing
connection, control or session part; what is not understood. Not accepted: text without any media. Limits: MAX_SIZE
bytes, MAX_MEDIA media.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from streaming.wire import Malformed

MAX_SIZE = 64 * 1024
MAX_MEDIA = 32

# RFC 3551, table 4 and 5: those that need no rtpmap.
_STATIC = {0: ("pcmu", 8000, 1), 3: ("gsm", 8000, 1), 8: ("pcma", 8000, 1), 26: ("jpeg", 90_000, 1)}
_LINE = re.compile(r"([a-z])=(.*)", re.DOTALL)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Media:
    kind: str  # video, audio, application …
    port: int
    payload_type: int
    encoding: str = ""  # in lower case: h264, h265, mpeg4-generic, pcmu …; empty when not told
    clock: int = 0  # ticks per second
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)  # of fmtp, names in lower case
    control: str = ""
    address: str = ""  # 0.0.0.0 and nothing are the same: the server itself
    ttl: int | None = None  # of multicast

    def parameter_sets(self) -> list[bytes]:
        """The NAL units that stand in the description (RFC 6184, 8.2.1; RFC 7798, 7.1); those that can be read."""
        names = ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
        text = ",".join(self.parameters.get(name, "") for name in names)
        return [found for each in text.split(",") if (found := _base64(each))]

    def configuration(self) -> bytes:
        """The AudioSpecificConfig that stands in the description (RFC 3640, 4.1); nothing if it cannot be read."""
        try:
            return bytes.fromhex(self.parameters.get("config", ""))
        except ValueError:
            return b""


@dataclass(frozen=True, slots=True)
class Description:
    control: str  # of the whole session
    media: tuple[Media, ...]

    def first(self, kind: str) -> Media | None:
        return next((each for each in self.media if each.kind == kind), None)


def control_url(base: str, control: str) -> str:
    """What to ask for: `control` where it is absolute, else behind `base`, which is Content-Base or what was asked."""
    if _ABSOLUTE.match(control):
        return control
    if control in ("", "*"):
        return base
    return f"{base}{control}" if base.endswith("/") or control.startswith("/") else f"{base}/{control}"


def parse(body: bytes) -> Description:
    if len(body) > MAX_SIZE:
        raise Malformed(f"a session description of {len(body)} bytes")
    sections: list[dict[str, list[str]]] = [{}]
    for key, value in _lines(body.decode("utf-8", "replace")):
        if key == "m":
            if len(sections) > MAX_MEDIA:
                raise Malformed(f"more than {MAX_MEDIA} media in a session description")
            sections.append({})
        sections[-1].setdefault(key, []).append(value)
    session, *parts = sections
    control = _attribute(session, "control")
    address, ttl = _connection(session)
    media = tuple(found for part in parts if (found := _media(part, address, ttl)) is not None)
    if not media:
        raise Malformed("a session description without media")
    return Description(control, media)


def _lines(text: str) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            lines.append((found[1], found[2].strip()))
        elif lines and line.strip():
            key, value = lines[-1]
            lines[-1] = (key, f"{value} {line.strip()}")
    return lines


def _attribute(section: dict[str, list[str]], name: str, number: int | None = None) -> str:
    """The value of the attribute; with a number, of the one for that payload type."""
    for line in section.get("a", ()):
        key, _, value = line.partition(":")
        if key.strip().lower() != name:
            continue
        if number is None:
            return value.strip()
        which, _, rest = value.strip().partition(" ")
        if which == str(number):
            return rest.strip()
    return ""


def _connection(section: dict[str, list[str]]) -> tuple[str, int | None]:
    """c=IN IP4 239.192.0.20/16"""
    words = section.get("c", [""])[0].split()
    if len(words) < 3:
        return "", None
    address, _, rest = words[2].partition("/")
    return address, _number(rest.partition("/")[0], 255)


def _media(section: dict[str, list[str]], address: str, ttl: int | None) -> Media | None:
    words = section["m"][0].split()
    if len(words) < 4:
        return None
    port, payload_type = _number(words[1].partition("/")[0], 65_535), _number(words[3], 127)
    if port is None or payload_type is None:
        return None
    encoding, clock, channels = _STATIC.get(payload_type, ("", 0, 1))
    name, *rest = _attribute(section, "rtpmap", payload_type).split("/")
    if name:
        encoding, clock, channels = name.strip().lower(), 0, 1
        numbers = [_number(each.strip(), 1_000_000) for each in rest]
        clock = numbers[0] or 0 if numbers else 0
        channels = numbers[1] or 1 if len(numbers) > 1 else 1
    own_address, own_ttl = _connection(section)
    return Media(
        kind=words[0].lower(),
        port=port,
        payload_type=payload_type,
        encoding=encoding,
        clock=clock,
        channels=channels,
        parameters=_parameters(_attribute(section, "fmtp", payload_type)),
        control=_attribute(section, "control"),
        address=own_address or address,
        ttl=own_ttl if own_address else ttl,
    )


def _parameters(text: str) -> dict[str, str]:
    """name=value; name=value … Values may hold equals signs: they are base64."""
    parameters: dict[str, str] = {}
    for each in text.split(";"):
        name, equals, value = each.partition("=")
        if equals and name.strip():
            parameters[name.strip().lower()] = value.strip()
    return parameters


def _number(text: str, largest: int) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return int(text) if int(text) <= largest else None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
