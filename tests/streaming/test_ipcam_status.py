"""The state that IPCamCGI cameras write beside each picture."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.wire.ipcam_status import Status, parse


def test_inputs_uploads_and_position_are_read():
    assert parse("2026-11-20 12:00:05 IO_00000101_PT_170_067") == Status(
        datetime(2026, 11, 20, 12, 0, 5), trigger1=True, trigger2=False, uploading=True, mailing=False, pan=170, tilt=67
    )


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        ("00000000", set()),
        ("00000001", {"trigger1"}),
        ("00000010", {"trigger2"}),
        ("00000100", {"uploading"}),
        ("00001000", {"mailing"}),
        ("11110000", set()),
    ],
)
def test_the_rightmost_digit_is_the_first_input(bits: str, names: set[str]):
    status = parse(f"IO_{bits}_PT_000_000")
    assert status is not None
    assert {name for name in ("trigger1", "trigger2", "uploading", "mailing") if getattr(status, name)} == names


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("2026-11-20 00:00:00 ", datetime(2026, 11, 20)),
        ("11-20-2026 12:34:56 AM ", datetime(2026, 11, 20, 0, 34, 56)),
        ("11-20-2026 12:34:56 pm", datetime(2026, 11, 20, 12, 34, 56)),
        ("1-2-2026  1:34:56PM ", None),
        ("2026-13-20 00:00:00", None),
        ("20.11.2026", None),
        ("", None),
    ],
)
def test_dates_are_read_as_both_firmwares_write_them(date: str, time: datetime | None):
    status = parse(f"{date} IO_00000000_PT_340_135")
    assert status is not None
    assert (status.time, status.pan, status.tilt) == (time, 340, 135)


@pytest.mark.parametrize(
    "header", ["", "Fri, 20 Nov 2026 12:00:00 GMT", "IO_0000010_PT_170_067", "IO_00000102_PT_1_067"]
)
def test_a_header_without_a_state_tells_none(header: str):
    assert parse(header) is None


@given(st.text(max_size=60), st.from_regex(r"[0-9-]{0,10} [0-9:]{0,8} ?(AM|PM)? ?IO_[01]{8}_PT_[0-9]{3}_[0-9]{3}"))
@settings(max_examples=1500)
def test_any_header_is_a_state_or_none(front: str, text: str):
    for header in (front, text, front + text):
        status = parse(header)
        assert status is None or 0 <= status.pan <= 999
