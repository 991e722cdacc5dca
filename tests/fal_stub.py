"""A stand-in for fal on loopback: queue, uploads and media over HTTPS, with a memory of all that it was sent."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

CERTIFICATE = """
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = stand-in for fal
[extensions]
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:rest.fal.ai, DNS:v3.fal.media
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
subjectKeyIdentifier = hash
"""


class Seen(NamedTuple):
    """One request that arrived."""

    method: str
    host: str
    path: str
    authorization: str | None
    body: bytes


class FalStub:
    """The state of a running stand-in; a test sets what it does and reads what it saw.

    `drop_submits` reads a paid POST whole and closes the connection; `refuse_submits` answers it with a status and a
    body. `polls` is how often a job is asked after before it is done, `failure` the status and body of its result, and
    `status_host` the host that the answer to a submit names in its addresses.
    """

    def __init__(self, port: int, clip: bytes) -> None:
        self.port = port
        self.clip = clip
        self.host = f"127.0.0.1:{port}"
        self.media_host = f"localhost:{port}"
        self.status_host = self.host
        self.seen: list[Seen] = []
        self.uploads: dict[str, bytes] = {}
        self.asked: dict[str, int] = {}
        self.jobs: list[str] = []
        self.polls = 2
        self.drop_submits = False
        self.refuse_submits: tuple[int, dict[str, Any]] | None = None
        self.failure: tuple[int, dict[str, Any]] | None = None
        self.lock = threading.Lock()

    @property
    def paid(self) -> list[tuple[str, Any]]:
        """The endpoint and the arguments of every paid POST, in the order of arrival."""
        posts = [seen for seen in self.seen if seen.method == "POST" and seen.path.startswith("/fal-ai/")]
        return [(seen.path[1:], json.loads(seen.body)) for seen in posts]

    @property
    def key_leaks(self) -> list[Seen]:
        """The requests that gave the account's key to a media host."""
        keyless = (self.media_host, "v3.fal.media")
        return [seen for seen in self.seen if seen.host in keyless and "Key" in (seen.authorization or "")]

    def submit(self) -> dict[str, Any]:
        """Take a job into the queue."""
        with self.lock:
            request = f"request-{len(self.jobs) + 1}"
            self.jobs.append(request)
        base = f"https://{self.status_host}/jobs/{request}"
        urls = {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}
        return {"request_id": request, "queue_position": 0, **urls}

    def status(self, request: str) -> tuple[int, dict[str, Any]]:
        """Say how a job stands: queued, then running, then completed."""
        with self.lock:
            self.asked[request] = self.asked.get(request, 0) + 1
        if self.asked[request] >= self.polls:
            failed = {"error": "Request failed", "error_type": "unprocessable"} if self.failure else {}
            return 200, {"status": "COMPLETED", "logs": None, "metrics": {}, **failed}
        if self.asked[request] == 1:
            return 202, {"status": "IN_QUEUE", "queue_position": 1}
        return 202, {"status": "IN_PROGRESS", "logs": None}

    def result(self, request: str) -> tuple[int, dict[str, Any]]:
        """Give a job's result, or its failure."""
        url = f"https://{self.media_host}/media/{request}.mp4"
        video = {"url": url, "content_type": "video/mp4", "file_name": "output.mp4", "file_size": len(self.clip)}
        return self.failure or (200, {"video": video})

    def initiate(self) -> dict[str, Any]:
        """Name the place of an upload and the address it will have."""
        with self.lock:
            number = len(self.uploads) + 1
            self.uploads[f"/files/{number}"] = b""
        base = f"https://{self.media_host}"
        return {"upload_url": f"{base}/files/{number}?signed=yes", "file_url": f"{base}/files/{number}"}


class Handler(BaseHTTPRequestHandler):
    """Routes by path, as every host of fal comes to the one port."""

    protocol_version = "HTTP/1.1"
    stub: FalStub

    def do_POST(self) -> None:
        body, stub = self.receive(), self.stub
        if self.path.startswith("/fal-ai/"):
            if stub.drop_submits:
                self.close_connection = True
            else:
                self.answer(*(stub.refuse_submits or (200, stub.submit())))
        elif self.path.startswith("/storage/auth/token"):
            token = {"token": "cdn-token", "token_type": "Bearer", "base_url": "https://v3.fal.media"}
            self.answer(200, {**token, "expires_at": "2999-01-01T00:00:00+00:00"})
        elif self.path.startswith("/storage/upload/initiate"):
            self.answer(200, stub.initiate())
        elif self.path == "/files/upload":
            place = stub.initiate()["file_url"]
            stub.uploads[place.partition(stub.media_host)[2]] = body
            self.answer(200, {"access_url": place})
        else:
            self.answer(404, {"detail": "no such path"})

    def do_PUT(self) -> None:
        self.stub.uploads[self.path.partition("?")[0]] = self.receive()
        self.answer(200, {})

    def do_GET(self) -> None:
        self.receive()
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "media":
            self.send(200, "video/mp4", self.stub.clip)
        elif parts[0] == "jobs" and parts[-1] == "status":
            self.answer(*self.stub.status(parts[1]))
        elif parts[0] == "jobs":
            self.answer(*self.stub.result(parts[1]))
        else:
            self.answer(404, {"detail": "no such path"})

    def receive(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.headers["Host"], self.path, self.headers.get("Authorization"), body)
        with self.stub.lock:
            self.stub.seen.append(seen)
        return body

    def answer(self, status: int, body: dict[str, Any]) -> None:
        self.send(status, "application/json", json.dumps(body).encode())

    def send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what arrived is in `FalStub.seen`."""


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate with its key in one file, by the openssl program."""
    (folder / "certificate.cnf").write_text(CERTIFICATE)
    names = ["-config", "certificate.cnf", "-keyout", "key.pem", "-out", "certificate.pem"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *names], cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


@contextlib.contextmanager
def serve(certificate: Path, clip: bytes) -> Iterator[FalStub]:
    """Serve a stand-in that gives `clip` for every job, until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    stub = FalStub(server.server_address[1], clip)
    server.RequestHandlerClass = type("BoundHandler", (Handler,), {"stub": stub})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
