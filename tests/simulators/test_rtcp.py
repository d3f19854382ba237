"""RTCP as the simulators write and read it."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import rtcp


def test_a_sender_report_is_read_back_by_its_own_rules():
    data = rtcp.sender_report("Gate north", 1_700_000_000.5, 2**32 + 7, 3, 4000)
    assert len(data) % 4 == 0
    fields = struct.unpack_from("!BBHIIIIII", data)
    assert fields == (0x80, 200, 6, 0, 1_700_000_000 + 2_208_988_800, 2**31, 7, 3, 4000)
    assert data[28:30] == b"\x81\xca"
    assert data[36:48] == b"\x01\x0aGate north"
    assert rtcp.read(data) == [rtcp.Report(0, ())]


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "é" * 200])
def test_any_name_fills_whole_words(name):
    data = rtcp.sender_report(name, 0.0, 0, 0, 0)
    assert 28 + 4 + 4 * int.from_bytes(data[30:32], "big") == len(data)
    assert data[-1] == 0


def test_the_blocks_of_receiver_reports_are_told():
    block = struct.pack("!IIIIII", 9, 0x05000002, 70_000, 33, 0, 0)
    data = struct.pack("!BBHI", 0x81, 201, 7, 77) + block + struct.pack("!BBHI", 0x81, 203, 1, 77)
    assert rtcp.read(data) == [rtcp.Report(77, (rtcp.Block(9, 2, 70_000, 33),))]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\x80\xc9", "shorter than its header"),
        (b"\x40\xc9\x00\x00", "version 2, not 1"),
        (b"\x80\x60\x00\x00", "packet type 96"),
        (b"\x81\xca\x00\x00", "begins with a report"),
        (b"\x80\xc9\x00\x02\x00\x00\x00\x00", "shorter than it says"),
        (b"\x81\xc9\x00\x01\x00\x00\x00\x00", "too short for them"),
        (b"\x80\xc8\x00\x01\x00\x00\x00\x00", "too short for them"),
        (b"\x80\xc9\x00\x00", "too short for them"),
    ],
)
def test_what_is_not_rtcp_is_said(data, says):
    with pytest.raises(rtcp.RtcpError, match=says):
        rtcp.read(data)


@given(st.binary(max_size=200))
def test_no_bytes_bring_another_error(data):
    with contextlib.suppress(rtcp.RtcpError):
        assert rtcp.read(data)
