"""Fetches a file as a render does, in a process of its own, from a small server that has files of any size."""

from __future__ import annotations

import asyncio
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kling_dsl.render.account import sandbox_account
from kling_dsl.render.downloads import fetch
from kling_dsl.render.jobs import Video
from kling_dsl.render.network import connect
from kling_dsl.sandbox.certificate import make_certificate

MEGABYTE = 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Answers `/200` with 200 megabytes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the file."""
        megabytes = int(self.path.removeprefix("/"))
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(megabytes * MEGABYTE))
        self.end_headers()
        for _ in range(megabytes):
            self.wfile.write(bytes(MEGABYTE))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> None:
    """Serve on loopback until the process is ended; print what to set."""
    certificate, context = make_certificate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"SSL_CERT_FILE={certificate}")
    print("NO_PROXY=127.0.0.1")
    print(f"ADDRESS=https://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


async def download(address: str, megabytes: int, part: Path) -> None:
    """Fetch a file of that size, and make sure that all of it came."""
    part.unlink(missing_ok=True)
    async with connect(sandbox_account()) as network:
        await fetch(Video(f"{address}/{megabytes}"), part, line=network.fetching)
    if part.stat().st_size != megabytes * MEGABYTE:
        raise SystemExit(f"{part.stat().st_size} bytes came")


def main() -> None:
    """Serve, or fetch, as the first word says."""
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        asyncio.run(download(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))


if __name__ == "__main__":
    main()
