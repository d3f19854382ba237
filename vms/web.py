"""The web process: pages, API, sockets and the relay on one uvloop loop.

The listening socket comes from the supervisor (`--fd`) or is bound here (`--host`, `--port`: one per container).
`--prepare` brings the database up to date first, in this same process, because loading Django twice would double the
time to the first page.
"""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
import threading
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vms.settings")

UNUSABLE = 78  # tells the supervisor that starting again will not help
DRAIN_SECONDS = 2  # what open requests and sockets get before they are cut
CLOSE_SECONDS = 2  # what the relay gets to say STOP to devices
GIVE_UP_SECONDS = 6  # after the order to stop, whatever still hangs: below the supervisor's patience and 10 s in all


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vms.web")
    parser.add_argument("--fd", type=int, help="an already listening socket")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 — inside a container, behind the proxy
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--prepare", action="store_true", help="bring the database up to date first")
    return parser.parse_args()


def listening(options: argparse.Namespace) -> socket.socket:
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    listener = socket.create_server((options.host, options.port), backlog=1024, reuse_port=False)
    listener.set_inheritable(False)
    return listener


async def serve(listener: socket.socket) -> None:
    import uvicorn

    from vms import health
    from vms.asgi import application

    class Server(uvicorn.Server):
        def handle_exit(self, number: int, frame: object) -> None:
            # A thread or a handler that hangs must not keep the process, and with it devices' sessions, for ever.
            timer = threading.Timer(GIVE_UP_SECONDS, os._exit, (1,))
            timer.daemon = True
            timer.start()
            super().handle_exit(number, frame)  # type: ignore[arg-type]

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Here and not after `serve`: uvicorn ends the process by the signal it was sent before that returns.
            await super().shutdown(sockets)
            await let_go_of_devices()

    # WhiteNoise hands over its files piece by piece the synchronous way; they are small, so read whole is well.
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # compressing video costs 45 times the sending of it
        ws_max_size=64 * 1024,  # browsers send us short commands only
        ws_ping_interval=20,
        ws_ping_timeout=20,
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # believed only from TRUSTED_PROXIES: accounts.requests
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    watch = asyncio.create_task(health.watch())
    # What was loaded until now stays for ever: collecting it again and again would only cost frames their time.
    gc.collect()
    gc.freeze()
    await Server(config).serve(sockets=[listener])
    watch.cancel()


async def let_go_of_devices() -> None:
    """Stop what this process moves and what devices send to it."""
    from devices import ptz
    from devices.errors import DeviceError
    from streaming import relay

    try:
        await asyncio.wait_for(asyncio.gather(ptz.stop_all_watched(), relay.close_all()), CLOSE_SECONDS)
    except (TimeoutError, DeviceError) as error:
        # What still moves or sends then is stopped by the worker, or by the device itself when nobody keeps it alive.
        logging.getLogger("vms.web").warning("some devices were not told to stop: %s", error or "no answer in time")


def main() -> int:
    options = parse()
    import django
    import uvloop

    logging.captureWarnings(True)

    try:
        django.setup()
        if options.prepare:
            from vms.prepare import prepare

            prepare()
    except Exception as error:
        from vms.prepare import sentence_for

        sentence = sentence_for(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        return UNUSABLE
    listener = listening(options)
    uvloop.run(serve(listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())
