"""FFmpeg's own RTSP client, which shares nothing with ours, is served."""

import time

import av
import pytest

from simulators.device import Manners
from simulators.picture import read_strip
from simulators.povcam import PovcamSimulator
from simulators.testing import running

WANTED = 40


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("user_auth", [False, True])
def test_ffmpeg_sees_and_hears_the_recorder(transport, stream, user_auth):
    with running(PovcamSimulator(seed=9, user_auth=user_auth, manners=Manners(0, 0))) as device:
        url = device.rtsp_url[:-1] + str(stream)
        if user_auth:
            url = url.replace("//", "//admin:12345@")
        strips, samples = [], 0
        with av.open(url, options={"rtsp_transport": transport}, timeout=10) as container:
            for packet in container.demux():
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        strips.append(read_strip(frame.to_image()))
                    else:
                        samples += frame.samples
                if len(strips) >= WANTED:
                    break
        numbers = [number for _, number in strips]
        assert {seed for seed, _ in strips} == {9}
        assert numbers == sorted(set(numbers))  # a machine that is too slow leaves some out
        assert samples > 0.6 * 48_000 * WANTED / (30 if stream == 1 else 15)
        assert [(remark.kind, remark.detail) for remark in device.violations] == []
        until = time.monotonic() + 5
        while device.sounding and time.monotonic() < until:  # FFmpeg does not wait for the answer to its TEARDOWN
            time.sleep(0.02)
        methods = [asked.method for asked in device.requests if asked.status == 200]
        assert methods == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
        assert (device.state()["rtsp"]["sessions"], device.encoding, device.sounding) == ([], [], False)
