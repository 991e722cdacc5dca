"""Who pays, and where fal is: credentials and hosts as fal-client finds them in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from kling_dsl.render.failures import hide
from kling_dsl.render.problems import NoKey

API_URL = "https://api.fal.ai"
"""Where the request history is asked for (the provider's platform API, high)."""

BACKUP_HOSTS = {"queue.fal.run": "queue.falrun.com"}
"""The second address of the queue, as fal-client 1.0.3 has it: used only when nothing can have reached the first."""

KEYED_HOSTS = ("fal.run", "falrun.com", "fal.ai")
"""The provider's own domains; the key goes to these and to the queue host that the environment names, nowhere else."""

_KEYED_HOST = re.compile(rf"(?:[a-z0-9-]+\.)*(?:{'|'.join(map(re.escape, KEYED_HOSTS))})")

SANDBOX_KEY = "sandbox:sandbox"
SANDBOX_HEADER = "x-kling-sandbox"
"""Stands in every answer of a sandbox."""


class Account(msgspec.Struct, frozen=True):
    """The authorization of an account and the hosts it is used at. It is never printed or written."""

    authorization: str
    queue_host: str
    key: str | None = None
    """The key alone, for fal-client's uploads; None for a login, which fal-client looks up itself."""
    is_sandbox: bool = False

    def __repr__(self) -> str:
        """Leave the key out: a representation may end in a log."""
        return f"Account(queue_host={self.queue_host!r})"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The queue's hosts in the order in which they are tried."""
        backup = BACKUP_HOSTS.get(self.queue_host)
        return (self.queue_host, backup) if backup else (self.queue_host,)

    def meets_sandbox(self, headers: Mapping[str, str]) -> bool:
        """Say whether a sandbox gave an answer with these headers, where fal's own is expected."""
        return SANDBOX_HEADER in headers and not self.is_sandbox

    def may_show_key(self, url: str) -> bool:
        """Say whether the key may be sent with a request to this address, as the one reads it who would send it."""
        import httpx

        try:
            address = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            return False
        if address.scheme != "https" or address.userinfo:
            return False
        if address.netloc.decode("ascii") == self.queue_host.lower():
            return True
        return address.port is None and _KEYED_HOST.fullmatch(address.raw_host.decode("ascii")) is not None


async def find_account() -> Account:
    """Return the account that fal-client would use; raises `NoKey` when there is none or it cannot be sent."""
    from fal_client import auth

    try:
        credentials = await auth.fetch_auth_credentials_async()
    except auth.MissingCredentialsError as problem:
        raise NoKey(
            "there is no key for fal: set FAL_KEY to the one from https://fal.ai/dashboard/keys, or log in with "
            "`fal auth login`; `kling render --sandbox` needs none"
        ) from problem
    if not re.fullmatch(r"[\x21-\x7e]+", credentials.token):
        raise NoKey("the key for fal holds a space, a line break or a letter that no key has: look at FAL_KEY")
    hide(credentials.token)
    key = credentials.token if credentials.scheme == "Key" else None
    return Account(credentials.header_value, auth.FAL_QUEUE_RUN_HOST, key)


def sandbox_account() -> Account:
    """Return the account of the sandbox: a key that buys nothing anywhere, whatever the environment holds."""
    from fal_client import auth

    return Account(f"Key {SANDBOX_KEY}", auth.FAL_QUEUE_RUN_HOST, SANDBOX_KEY, is_sandbox=True)
