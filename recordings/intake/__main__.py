"""`python -m recordings.intake`: the process that receives what devices send on their own."""

import asyncio
import signal


async def main() -> None:
    """Wait for the order to stop: no receiver is served yet, so nothing listens here."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
