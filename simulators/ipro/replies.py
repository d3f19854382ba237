"""The texts the recorder answers with, as the document's examples show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulators.http import Response
from simulators.ipro.records import Disks, Entry, Zone

MODEL = "WJ-NX400"
BOUNDARY = "--myboundary"
NO_CACHE = (("Cache-Control", "no-cache"),)
MAIN_SLOTS = [f"MAIN-{slot}" for slot in range(1, 10)]
EXTENSION_SLOTS = [f"EXT{unit}-{slot}" for unit in range(1, 6) for slot in range(1, 10)]

LOGIN_PAGE = """\
<html>
<head>
<meta http-equiv="X-UA-Compatible" content="IE=edge">
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">
<meta http-equiv="Content-Script-Type" content="text/javascript">
<meta http-equiv="Pragma" content="no-cache">
<link rel="stylesheet" type="text/css" href="../rec_common_mlt.css">
<title>Network Disk Recorder {model}</title>
<script language="JavaScript" src="../setup_mlt.js"></script>
</head>
<body leftmargin="0" topmargin="0" marginwidth="0" marginheight="0" oncontextmenu="return false">
<script type="text/javascript">
<!--
\tif("J" == "G")
\t{{
\t\tdocument.title = "Network Disk Recorder {model}";
\t}}
\telse
\t{{
\t\tdocument.title = "Network Disk Recorder {model}";
\t}}

\tthis.location.href = "./hdrctl.cgi?UID={uid}&HTML=camindex.html"+ RetTempParam();
//-->
</script>
</body>
</html>
"""


def login_page(uid: str) -> Response:
    return _html(LOGIN_PAGE.format(model=MODEL, uid=uid).replace("\n", "\r\n"))


def connections(status: Mapping[int, int], most_uids: int, used_uids: int) -> Response:
    lines = [f"CAM_CONNECT_{number:02}CH={status[number]:d}" for number in sorted(status)]
    return _html(_lines("<HTML>", *lines, f"MAXUID={most_uids}", f"USEDUID={used_uids}", "</HTML>"))


def log(kind: str, page: str, entries: Sequence[Entry], zone: Zone) -> Response:
    cells: list[str] = []
    for index, entry in enumerate(entries, 1):
        time = zone.local(entry.wall).strftime("%Y/%m/%d %H:%M:%S")
        cells += [f"{index:03}", time, zone.flag(), entry.text, zone.name()]
    quoted = ",".join(f'"{cell}"' for cell in cells)
    return _html(_lines(f"FILENAME={page}", f"{kind}_LOG_NO={len(entries)}", f"{kind}_LOG={quoted}", ""))


def recorded_time(disks: Disks, zone: Zone, now: float) -> Response:
    rows = [_disk(*row, zone) for row in disks.rows(now)]
    slots = [*MAIN_SLOTS, *EXTENSION_SLOTS]
    rows += [[""] * 8] * (len(slots) - len(rows))
    table = [",".join((slot, *row)) for slot, row in zip(slots, rows, strict=True)]
    heading = ("Recording information", "", "Disk,Capacity,Remain capacity,Recorded time range")
    return Response(200, _lines(*heading, *table).encode(), "text/plain")


def _disk(capacity: int, writing: bool, remains: int, held: tuple[float, float] | None, zone: Zone) -> list[str]:
    cells = [f"{capacity}GB{'(R)' if writing else ''}", f"{remains}GB"]
    for wall in held or ():
        cells += zone.local(wall).strftime(f"%Y/%m/%d,{zone.flag()},%H:%M:%S").split(",")
    return cells + [""] * (8 - len(cells))


def _lines(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _html(content: str) -> Response:
    return Response(200, content.encode(), "text/html", NO_CACHE)
