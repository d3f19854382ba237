"""What is boxed here, played by a real browser's Media Source: pictures that overtake each other, and sound."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from playwright.sync_api import Browser

from streaming.wire import aac, fmp4, h264
from streaming.wire.reorder import DecodeTimes
from tests.streaming import coded
from tests.streaming.coded import TICKS
from tests.streaming.packer import packets, put_together

pytestmark = pytest.mark.browser

BEGIN = 10  # seconds

PLAY = """async ([mime, segments]) => {
    const video = document.createElement('video');
    video.muted = true;
    document.body.append(video);
    const source = new MediaSource();
    video.src = URL.createObjectURL(source);
    await new Promise(done => source.addEventListener('sourceopen', done, {once: true}));
    const buffer = source.addSourceBuffer(mime);
    for (const segment of segments) {
        buffer.appendBuffer(Uint8Array.from(atob(segment), letter => letter.charCodeAt(0)));
        await new Promise(done => buffer.addEventListener('updateend', done, {once: true}));
        if (video.error) return {error: video.error.message};
    }
    const {buffered} = buffer;
    const ranges = [...Array(buffered.length).keys()].map(n => [buffered.start(n), buffered.end(n)]);
    source.endOfStream();
    const shown = [];
    const note = (now, frame) => { shown.push(frame.mediaTime); video.requestVideoFrameCallback(note); };
    video.requestVideoFrameCallback(note);
    video.currentTime = ranges[0][0];
    const ended = new Promise((done, fail) => {
        video.addEventListener('ended', done, {once: true});
        setTimeout(() => fail(new Error('it does not end')), 20000);
    });
    await video.play();
    await ended;
    return {
        error: video.error?.message ?? null, ranges, shown, sound: video.webkitAudioDecodedByteCount,
        decoded: video.getVideoPlaybackQuality().totalVideoFrames,
    };
}"""


@pytest.mark.parametrize("overtaking", ["0", "3"])
def test_a_browser_plays_picture_and_sound_in_order_and_without_a_gap(chromium: Browser, overtaking: str):
    units = put_together(h264.Depacketizer(), packets(coded.x264(bf=overtaking)))
    times = DecodeTimes(units[0].track.reorder)
    placed = [times.place(unit.time, unit.key) for unit in units]
    begin = 90_000 * BEGIN - placed[0][0]
    pictures = [
        fmp4.fragment(n, begin + decode, TICKS, unit.key, 1.0, unit.data, offset)
        for n, (unit, (decode, offset)) in enumerate(zip(units, placed, strict=True))
    ]
    framer = aac.Framer(48_000, headers=False)
    sound = [unit for frame in coded.aac(count=62).frames for unit in framer.push(frame, None, 1.0)]
    audible = [
        fmp4.audio_fragment(n, 48_000 * BEGIN + unit.time, unit.samples, 1.0, unit.data) for n, unit in enumerate(sound)
    ]
    assert framer.track is not None
    mixed = [each for n in range(len(audible)) for each in (*pictures[n : n + 1], audible[n])]
    segments = [base64.b64encode(each).decode() for each in (fmp4.init_segment(units[0].track, framer.track), *mixed)]
    page = chromium.new_page()
    try:
        seen = page.evaluate(PLAY, [f'video/mp4; codecs="{units[0].track.codec}, {framer.track.codec}"', segments])
    finally:
        page.close()
    assert seen["error"] is None
    assert len(seen["ranges"]) == 1
    assert seen["decoded"] == 36
    assert seen["sound"] > 5000
    delay = placed[0][1] / 90_000
    assert seen["ranges"][0][0] == pytest.approx(BEGIN + delay, abs=0.001)
    numbers = [round((time - BEGIN - delay) * 30) for time in seen["shown"]]
    assert all(earlier < later for earlier, later in pairwise(numbers))
    assert 30 <= numbers[-1] <= 35  # a busy machine may not have shown the very last one before the end
