"""A running sandbox: started, asked for its bill, and ended."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kling_dsl.sandbox.bill import Bill
from kling_dsl.sandbox.faults import Fault
from kling_dsl.sandbox.settings import Settings
from kling_dsl.sheets import Profiles

if TYPE_CHECKING:
    from kling_dsl.sandbox.server import Server
    from kling_dsl.sandbox.service import Service


class Running:
    """A sandbox that serves: its addresses, what to set so that clients find it, and its bill."""

    def __init__(self, server: Server, service: Service, certificate: Path) -> None:
        self._server = server
        self._service = service
        self.certificate = certificate
        self.host = f"127.0.0.1:{service.port}"
        self.url = f"https://{self.host}"
        self.proxy = f"http://127.0.0.1:{server.proxy_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables with which unmodified clients of fal come here, and nowhere else."""
        loopback = "127.0.0.1,localhost"
        return {
            "FAL_KEY": "sandbox:sandbox",
            "FAL_RUN_HOST": self.host,
            "FAL_QUEUE_RUN_HOST": self.host,
            # Read by the programs that kling compile writes, for the shell and for node.
            "FAL_REST_HOST": self.host,
            "HTTPS_PROXY": self.proxy,
            "https_proxy": self.proxy,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            "SSL_CERT_FILE": str(self.certificate),
            "CURL_CA_BUNDLE": str(self.certificate),
            "NODE_EXTRA_CA_CERTS": str(self.certificate),
            "KLING_SANDBOX": self.url,
        }

    def javascript(self) -> str:
        """Return the line that leads fal's JavaScript client here; its hosts are fixed, and a proxy is its own way."""
        return f'fal.config({{ proxyUrl: {{ url: "{self.url}/api/fal/proxy", when: "always" }} }});'

    def bill(self) -> Bill:
        """Return what was counted until now; it can be asked for after the end, too."""
        return self._server.ask(self._service.bill)

    def set_faults(self, *faults: Fault) -> None:
        """Inject these faults from now on, and none of those before."""
        self._server.ask(lambda: self._service.replace_faults(faults))


@contextlib.contextmanager
def running(
    settings: Settings,
    *,
    folder: Path,
    profiles: Profiles,
    port: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Running]:
    """Serve a sandbox in a thread until the block ends; port 0 takes one that is free.

    The certificate and the media are written into `folder`, which exists and is private to the caller. `tell` is
    called, in the sandbox's thread, with a line for each submission and for its end. Raises OSError when the port is
    taken, and ImportError without the extras `serve` and `media`.
    """
    from kling_dsl.sandbox.app import make_app
    from kling_dsl.sandbox.certificate import make_certificate
    from kling_dsl.sandbox.server import Server, open_plug
    from kling_dsl.sandbox.service import Service

    certificate, context = make_certificate(folder)
    plug = open_plug(port)
    service = Service(settings, folder=folder, profiles=profiles, port=plug.getsockname()[1], tell=tell)
    server = Server(plug, context, counts=service.counts)

    async def make() -> tuple[Any, Callable[[], Awaitable[None]]]:
        return make_app(service), service.stop

    server.start(make)
    try:
        yield Running(server, service, certificate)
    finally:
        server.stop()
