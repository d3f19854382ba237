"""An address without a socket closes with a code, and is no mistake of ours."""

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from vms.bench.product import Product

pytestmark = pytest.mark.running


@pytest.mark.parametrize("path", ["/ws/nothing/", "/ws/playback/1/", "/ws/live/abc/", "/"])
def test_an_address_without_a_socket_closes_with_4404(product: Product, path: str) -> None:
    with connect(product.url.replace("http", "ws", 1) + path) as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=20)
    assert socket.close_code == 4404
    assert "Traceback" not in product.log
