"""Believable, strict devices of the supported families, written from the vendors' documents and tied to nothing above.

A simulator answers as the document says, refuses what the document does not allow, and keeps a list of what its client
did wrong. It serves three readers: the tests (`PovcamSimulator(...)` as an async context manager, or
`simulators.testing.running` for synchronous tests), the demo fleet and integrators (`python -m simulators`).

Where things are:
  http.py      a small HTTP/1.1 server: bytes to `Request`, `Response` to bytes, limits and deadlines
  certificate.py  what a device with TLS shows of itself
  auth.py      users, Digest and Basic, the lock-out after failed logins
  checking.py  commands as data, and the strict check of a query string against them
  oddities.py  ways of real firmware that differ from its document
  device.py    what every simulated device has: its server, what it noted, faults, restart, the side door for tests
  sidedoor.py  what tests ask and break over HTTP; testing.py: a simulator for synchronous tests
  picture.py   the moving test picture with a machine-readable strip, and the strip's reader
  h264.py      picture to H.264 access units, h265.py to those of H.265, stills.py to JPEG; rtp.py: units to RTP packets
  video.py     the live source that sends; sound.py, gsm.py: live sound; multipart.py: both in HTTP answers
  rtsp.py      a small RTSP server; rtcp.py: the reports beside RTP
  loops.py     pictures encoded in advance; load.py: one loop to many ports, for benchmarks
  povcam/      one folder per family
  registry.py  family name to class; fleet.py: many devices in one process
"""
