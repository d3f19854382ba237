"""What recorders and their siblings do differently from the document. Each is off until it is asked for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from simulators.checking import Command, choice
from simulators.http import Answer, Request, Response
from simulators.povcam.answers import Declined
from simulators.povcam.media import AuHeader

ODDITIES: Mapping[str, str] = {
    "html": "answers stand between <HTML> and </HTML>, after an empty line",
    "setters-by-get": "setters are asked by GET; POST answers 405",
    "short-keep-alive": "keep_alive wants mode=h264 and answers 403 to mode=h.264",
    "accept-refused": "a request with an Accept header answers 400, unless it has the Randomnum of get_randomnum",
    "one-slot": "get_state tells nothing of a second slot, nor pre_rec",
    "sibling-names": "getuid and getinfo tell aInInterval for aInterval, OFF for off, and an empty Maxfps",
    "utf8-yen": "the fields of the log are separated by a yen sign in UTF-8",
    "full-au-header": "sound has the four bytes of RFC 3640 in front of it, by CGI as by RTSP",
    "bare-au-header": "sound has an AU header of two bytes in front of it, by RTSP as by CGI",
    "no-au-header": "sound has no AU header in front of it",
    "mono-sound": "sound has one channel, as the capability tells, whatever the session description says",
    "rtptime-dots": "the RTP-Info of PLAY has rtptime=..., as the document prints it",
    "comma-rtp-info": "the RTP-Info of PLAY is one line, with a comma between its tracks",
    "announced-ssrc": "by RTSP the SSRC is not 0 but what SETUP announces",
    "sprop": "the session description has sprop-parameter-sets",
    "chunked-clips": "a clip is sent in chunks instead of with its length",
    "unmeasured-clips": "a clip is sent without its length, and ends with the connection",
    "named-transfers": "by FTP clips have their names of the list, in DCIM and AVCHD, and nothing goes with them",
    "relay": "a recording that fills its card goes on in the other slot, which becomes the target",
}
AU_HEADERS: Mapping[str, AuHeader] = {"full-au-header": "rfc3640", "bare-au-header": "bare", "no-au-header": "none"}
SHORT_MODES = {"h264": "h.264", "h264_2": "h.264_2"}
RANDOM_NUMBER = "4f2a90c1d7e3b586"


def au_header(oddities: frozenset[str], usual: AuHeader) -> AuHeader:
    """What stands in front of each unit of sound in a packet."""
    return next((header for name, header in AU_HEADERS.items() if name in oddities), usual)


def widened(oddities: frozenset[str], command: Command) -> Command:
    """The command as this recorder understands it; `decline` refuses what it does not."""
    if "setters-by-get" in oddities and command.methods == ("POST",):
        command = dataclasses.replace(command, methods=("POST", "GET"))
    if "short-keep-alive" in oddities and command.path == "/cgi-bin/keep_alive":
        mode = choice("mode", *SHORT_MODES, *SHORT_MODES.values(), "jpeg", "audio")
        command = dataclasses.replace(command, params=(mode, *command.params[1:]))
    return command


def without_random_number(oddities: frozenset[str], request: Request) -> tuple[Request, bool]:
    """The request without the number that `accept-refused` has a client add, and whether it was the right one."""
    if "accept-refused" not in oddities or request.path == "/cgi-bin/initial":
        return request, False
    target, found = re.subn(rf"[?&]Randomnum={RANDOM_NUMBER}$", "", request.target)
    return dataclasses.replace(request, target=target), found > 0


def decline(oddities: frozenset[str], command: Command, values: dict[str, str], request: Request) -> dict[str, str]:
    """The values to act on; raises `Declined` for what the document allows and this recorder does not."""
    if "setters-by-get" in oddities and command.methods == ("POST",) and request.method == "POST":
        raise Declined("oddity", "This recorder is set by GET.", 405)
    if "accept-refused" in oddities and request.header("accept") is not None:
        _, right = without_random_number(oddities, request)
        if not right:
            raise Declined("oddity", "This recorder wants a Randomnum from whoever sends Accept.", 400)
    if "short-keep-alive" in oddities and command.path == "/cgi-bin/keep_alive":
        if values["mode"] in SHORT_MODES.values():
            raise Declined("oddity", "This recorder knows mode=h264.", 403)
        return {**values, "mode": SHORT_MODES.get(values["mode"], values["mode"])}
    return values


def unlike(oddities: frozenset[str], path: str, answer: Answer) -> Answer:
    """The answer as this recorder words it."""
    if not isinstance(answer, Response) or answer.content_type != "text/plain" or not answer.body:
        return answer
    body = answer.body
    if "one-slot" in oddities and path.endswith("/get_state"):
        body = re.sub(rb"(sd2_\w+|pre_rec)=[^\r]*\r\n", b"", body)
    if "sibling-names" in oddities and path.endswith(("/getuid", "/getinfo")):
        body = re.sub(
            rb"Maxfps=\d+", b"Maxfps=", body.replace(b"aInterval=", b"aInInterval=").replace(b"=off", b"=OFF")
        )
    if "utf8-yen" in oddities and path.endswith("/get_systemlog"):
        body = body.replace(b"\\", "¥".encode())
    if "html" in oddities:
        body = b"\r\n<HTML>\r\n" + body + b"</HTML>\r\n"
    return dataclasses.replace(answer, body=body)
