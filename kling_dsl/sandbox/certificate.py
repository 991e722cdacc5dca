"""The certificate of a sandbox: an authority of its own that vouches for fal's hosts on this machine alone."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import trustme

from kling_dsl.sandbox.hosts import HOSTS, LOOPBACK


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Write the authority's certificate into a folder, and return its path and the server's side of TLS.

    The authority's own key is never written down and is lost with this call, so nothing else can be signed with it.
    """
    authority = trustme.CA(organization_name="kling sandbox")
    path = folder / "certificate.pem"
    authority.cert_pem.write_to_path(os.fspath(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*LOOPBACK, *HOSTS).configure_cert(context)
    return path, context
