"""What holds for every test: a cache folder and settings of its own, and no way to a machine other than this one."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from render_films import Theatre

OURS = (
    *("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "KLING_TODAY", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"),
    "PYTHONDONTWRITEBYTECODE",
)
"""Variables by which the machine of whoever runs the tests would change what they see, or how long they wait for it."""

# A shell without job control starts what it puts into the background with SIGINT ignored, and so would every child of
# the tests be; but a program that is interrupted is what some of them are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine makes any example slow, which says nothing of the program: each whole test has a limit of its own.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


# The program looks for garbage seldom or never, and what pytest makes of the tests is none: looking through it again and
# again would cost a tenth of the run. What nobody closed is still found, a little later.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """Leave the tests that were collected out of every search for garbage: they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the caches and settings of the person who runs the tests out of them, and the tests out of those."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLING_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        for name in OURS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Serve a sandbox with instant clips, and keep a process ready from which renders there are forked."""
    from render_films import staged

    with staged(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


def pytest_xdist_auto_num_workers() -> int | None:
    """Let two workers for each processor share the tests, which often wait for a disk or for another process."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or not hasattr(os, "sched_getaffinity"):
        return None
    return 2 * len(os.sched_getaffinity(0))


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    elif event == "socket.getaddrinfo":
        host = str(arguments[0] or "localhost")
    else:
        return
    if host != "localhost" and not _is_loopback(host):
        raise PermissionError(f"a test reached for {host}, and tests stay on this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# An audit hook cannot be taken off again, which is what is wanted here.
sys.addaudithook(_stay_here)
