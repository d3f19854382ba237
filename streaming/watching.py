"""What one socket watches: a camera, in whatever stream and form suits it now.

A change of stream goes on on the same socket and without a gap: the old stream is shown until the new one has a key
picture of about now. The timelines of a process are one clock, but ways differ by some milliseconds: new pictures that
would stand before the end of the old ones are put behind it, one after the other, until they stand where they belong.
When the new stream cannot be had, the old one stays, and that is said.

Which codec a stream has is known for sure only when it is there: what this browser cannot play then is converted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from streaming import connection
from streaming.choice import Choice, Rendition, Wanted
from streaming.media import CLOCK_RATE
from streaming.relay import Relays
from streaming.ring import Fragment
from streaming.sources import Source
from streaming.viewer import Init, Item, State, Status, Viewer
from streaming.wire import fmp4


@dataclass
class _Line:
    """A viewer of one choice, and what keeps it open."""

    choice: Choice
    viewer: Viewer
    open: contextlib.ExitStack


class Watching:
    """`await next()` in a loop, within `with`. `source_of` says where a choice's pictures come from."""

    def __init__(
        self,
        relays: Relays,
        camera: int,
        wanted: Wanted,
        choice: Choice,
        source_of: Callable[[Choice], Source],
        on_stuck: Callable[[], None],
        line: connection.Line | None = None,
        who: str = "",
    ) -> None:
        self._who = who
        self._relays = relays
        self._camera = camera
        self._wanted = wanted
        self._source_of = source_of
        self._on_stuck = on_stuck
        self._direct = line
        self._shown_before = -1.0  # where the last picture of the streams before this one begins, on the timeline
        self._end: int | None = None  # where they end, in ticks, while pictures of this one may stand before it
        self._paused = False
        self._coming: _Line | None = None
        self._now = self._line(choice)
        self._now.viewer.use(line)
        self._held: Item | None = None  # handed out already, and not yet passed on

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exception: object) -> None:
        self._now.open.close()
        if self._coming is not None:
            self._coming.open.close()

    @property
    def choice(self) -> Choice:
        """What is shown now."""
        return self._now.choice

    @property
    def dropped(self) -> int:
        return self._now.viewer.dropped

    def show(self, choice: Choice, wanted: Wanted) -> None:
        """Go over to something else as soon as it has a key picture. What is heard stays as it is."""
        self._wanted = replace(wanted, sound=self._wanted.sound)
        if self._coming is not None:
            self._coming.open.close()
            self._coming = None
        if choice != self._now.choice:
            self._now.viewer.use(None)  # while there are two, everything goes through `next`
            self._coming = self._line(choice, after=self._shown_until)
            self._now.viewer.interrupt()
        elif self._end is None:
            self._now.viewer.use(self._direct)

    def pause(self) -> None:
        self._paused = True
        for line in self._lines():
            line.viewer.pause()

    def resume(self) -> None:
        self._paused = False
        for line in self._lines():
            line.viewer.resume()

    def hear(self, on: bool) -> None:
        self._wanted = replace(self._wanted, sound=on)
        for line in self._lines():
            line.viewer.hear(on)

    async def next(self) -> Item:
        """What comes next. Raises Ended or SourceRefused when there will be nothing more."""
        while True:
            item, self._held = self._held, None
            if item is None:
                coming = self._coming
                item = await (self._now.viewer.next() if coming is None else self._from_either(coming))
            if item is None:
                continue
            if isinstance(item, Fragment):
                if self._end is not None and fmp4.is_picture(item.data):
                    item = self._behind_the_old(item, self._end)
                if self._coming is not None:
                    self._coming.viewer.after = self._shown_until
            elif isinstance(item, Init) and not self._wanted.plays(item.track.kind):
                self._convert()
                continue
            return item

    @property
    def _shown_until(self) -> float:
        """Where the last picture shown begins, on the timeline."""
        return max(self._shown_before, self._now.viewer.shown)

    def _use(self, line: _Line) -> None:
        """From now on this one is shown, and nothing else is coming."""
        self._shown_before = self._shown_until
        old, self._now, self._coming = self._now, line, None
        if old is not line:
            old.open.close()
            if self._end is None and (last := old.viewer.last) is not None:
                self._end = sum(fmp4.place_of(last.data))
        line.viewer.use(self._direct if self._end is None else None)

    def _behind_the_old(self, picture: Fragment, end: int) -> Fragment:
        start, duration = fmp4.place_of(picture.data)
        if start >= end:
            self._end = None
            if self._coming is None:
                self._now.viewer.use(self._direct)
            return picture
        lasting = max(1, start + duration - end)
        self._end = end + lasting
        return picture._replace(data=fmp4.placed(picture.data, end, lasting), start=end / CLOCK_RATE)

    def _lines(self) -> list[_Line]:
        return [self._now] if self._coming is None else [self._now, self._coming]

    def _line(self, choice: Choice, after: float = -1.0) -> _Line:
        def stuck() -> None:
            if self._now is line:  # another one waits for its turn; it holds nobody up
                self._on_stuck()

        stack = contextlib.ExitStack()
        watch = self._relays.watch(
            self._camera,
            choice.name,
            self._source_of(choice),
            stuck,
            sound=self._wanted.sound,
            after=after,
            who=self._who,
        )
        line = _Line(choice, stack.enter_context(watch), stack)
        if self._paused:
            line.viewer.pause()
        return line

    def _convert(self) -> None:
        """This browser cannot play what came: go over to what it can."""
        coming = self._coming
        self._use(self._line(Choice(self._now.choice.stream, Rendition.H264), after=self._shown_until))
        self._coming = coming

    async def _from_either(self, coming: _Line) -> Item | None:
        """The next item of the present stream, until the coming one has its first picture."""
        present, first = (asyncio.ensure_future(line.viewer.next()) for line in (self._now, coming))
        try:
            await asyncio.wait((present, first), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # One that still waits has taken nothing.
            present.cancel()
            first.cancel()
            await asyncio.wait((present, first))
        refusal = None
        if not first.cancelled() and self._coming is coming:
            item = first.exception() or first.result()
            if isinstance(item, Init):
                self._use(coming)
                return item
            if isinstance(item, BaseException):
                refusal = Status(State.LIVE, f"The other picture cannot be shown: {item}")
                coming.open.close()
                self._use(self._now)
        if present.cancelled():
            return refusal
        self._held = present.result()
        return refusal
