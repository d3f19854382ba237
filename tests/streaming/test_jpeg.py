"""JPEG pictures as cameras send them, made so that every decoder shows them."""

import io
import random
import re

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from streaming.wire import Malformed, jpeg
from streaming.wire.jpeg import MAX_SEGMENTS, MAX_SIZE, STANDARD_TABLES, repair


def picture(width: int = 96, height: int = 64, **options) -> bytes:
    noise = Image.frombytes("RGB", (width, height), random.Random(width).randbytes(3 * width * height))
    out = io.BytesIO()
    noise.resize((width // 8, height // 8)).resize((width, height)).save(out, "JPEG", **{"quality": 85, **options})
    return out.getvalue()


GOOD = picture()


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.tobytes()


def without(data: bytes, kind: int) -> bytes:
    """Without the segments of this kind before the scan."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != kind:
            out += data[at:end]
        at = end
    return out + data[at:]


def comment(text: bytes) -> bytes:
    return b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text


def test_a_good_picture_stays_as_it_is():
    mended = repair(GOOD)
    assert mended.data is GOOD
    assert mended[1:] == (96, 64, (), True)


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"quality": 30, "subsampling": 0}, {"restart_marker_blocks": 2}, {"optimize": True}],
)
def test_other_codings_of_browsers_stay_too(options):
    data = picture(**options)
    assert repair(data).data is data


@pytest.mark.parametrize("front", [b"\r\n", b"\r\n\r\n", b"\n", b"\0rubbish\xff"])
def test_what_stands_in_front_is_cut_off(front: bytes):
    assert repair(front + GOOD) == (GOOD, 96, 64, (), True)


def test_a_recorders_chain_of_comments_is_taken_out_and_handed_over():
    """SOI COM SOI COM before the picture, as i-PRO 2.3.5 draws it; Pillow and browsers refuse that."""
    chain = b"\xff\xd8" + comment(b"recorder") + b"\xff\xd8" + comment(b"camera")
    for sent in (chain + GOOD, b"\r\n" + chain + GOOD, chain + GOOD[2:]):
        mended = repair(sent)
        assert mended == (GOOD, 96, 64, (b"recorder", b"camera"), True)
    with pytest.raises(OSError):
        pixels(b"\r\n" + chain + GOOD)


def test_comments_inside_a_picture_are_taken_out():
    sent = GOOD[:20] + comment(b"here") + GOOD[20:]
    assert repair(sent) == (GOOD, 96, 64, (b"here",), True)


@pytest.mark.parametrize("off", [-2, 2])
def test_a_comment_of_wrong_length_does_not_hide_the_picture(off: int):
    text = b"recorder information"
    spoiled = b"\xff\xfe" + (len(text) + 2 + off).to_bytes(2, "big") + text
    assert pixels(repair(b"\xff\xd8" + spoiled + GOOD).data) == pixels(GOOD)


def test_a_picture_without_huffman_tables_gets_the_standard_ones():
    bare = without(GOOD, 0xC4)
    mended = repair(bare)
    assert STANDARD_TABLES in mended.data
    assert pixels(mended.data) == pixels(GOOD)


def test_the_standard_tables_are_those_that_another_implementation_writes():
    tables = [GOOD[found.start() + 4 :] for found in re.finditer(b"\xff\xc4", GOOD)]
    wanted = {table[0]: table[: 17 + sum(table[1:17])] for table in tables}
    ours, rest = {}, STANDARD_TABLES[4:]
    while rest:
        size = 17 + sum(rest[1:17])
        ours[rest[0]], rest = rest[:size], rest[size:]
    assert ours == wanted


def test_a_missing_end_is_put_behind_and_told():
    mended = repair(GOOD[:-2])
    assert (mended.data, mended.whole) == (GOOD, False)
    assert repair(GOOD[:-1]).data == GOOD


def test_what_follows_the_end_is_cut_off():
    assert repair(GOOD + b"\r\n\r\n") == (GOOD, 96, 64, (), True)
    assert repair(GOOD + picture(48, 48)) == (GOOD, 96, 64, (), True)


def test_a_picture_that_another_one_interrupts_is_told():
    cut = GOOD[: len(GOOD) - 200].removesuffix(b"\xff")
    mended = repair(cut + picture(48, 48))
    assert (mended.data, mended.whole) == (cut + b"\xff\xd9", False)


def test_a_thumbnails_end_is_not_the_pictures():
    thumbnail = picture(48, 48)
    sent = GOOD[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + GOOD[2:]
    mended = repair(sent)
    assert (mended.data, mended.width, mended.whole) == (sent, 96, True)


def test_a_recorders_placeholder_is_known_by_its_size():
    assert repair(picture(40, 40))[1:3] == (40, 40)


def test_ffmpegs_pictures_are_shown_by_pillow():
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 96, 64, "yuvj420p", 1
    frame = av.VideoFrame.from_image(Image.open(io.BytesIO(GOOD))).reformat(format="yuvj420p")
    (packet,) = [*encoder.encode(frame), *encoder.encode(None)]
    mended = repair(without(bytes(packet), 0xC4))
    assert mended.comments[0].startswith(b"Lavc")
    assert len(pixels(mended.data)) == 96 * 64 * 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JPEG picture"),
        (b"\xff\xd8", "without a scan"),
        (b"GIF89a", "no JPEG picture"),
        (without(GOOD, 0xC0), "without a size"),
        (GOOD[:300], "without a scan"),
        (GOOD.replace(b"\xff\xc0", b"\xff\xc9"), "do not show"),
        (b"\xff\xd8" + comment(b"") * (MAX_SEGMENTS + 1), "too many segments"),
        (b"\xff\xd8" + bytes(MAX_SIZE), "bytes"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, why: str):
    with pytest.raises(Malformed, match=why):
        repair(data)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", GOOD[:200]]))
@settings(max_examples=2000)
def test_any_bytes_are_a_picture_or_malformed(data: bytes, front: bytes):
    try:
        mended = repair(front + data)
    except Malformed:
        return
    assert mended.data.startswith(b"\xff\xd8")
    assert mended.data.endswith(b"\xff\xd9")
    assert mended.width > 0
    assert mended.height > 0


@given(st.data())
@settings(max_examples=3000, deadline=None)
def test_a_mutated_picture_is_mended_or_malformed_and_mending_it_again_changes_nothing(data):
    spoiled = bytearray(b"\xff\xd8" + comment(b"camera") + GOOD)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, min(700, len(spoiled) - 1)) | st.integers(0, len(spoiled) - 1))
        if data.draw(st.booleans()):
            spoiled[at] = data.draw(st.sampled_from(b"\xff\xd8\xd9\xda\xc4\xc0\xfe\x00\x01\x02"))
        else:
            del spoiled[at : at + data.draw(st.integers(1, 30))]
    try:
        mended = repair(bytes(spoiled))
    except Malformed:
        return
    assert len(mended.data) <= len(spoiled) + len(STANDARD_TABLES) + 2
    assert len(mended.comments) <= jpeg.MAX_COMMENTS
    again = repair(mended.data)
    assert (again.data, again.whole) == (mended.data, True)
