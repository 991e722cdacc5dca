"""Names are on the disk when that is said, on every system that can bring a folder there by itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from kling_dsl.durable import write_whole

UNABLE = [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOSYS]
BROKEN = [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EMFILE]


def fail_for_folders(monkeypatch: pytest.MonkeyPatch, verb: str, number: int) -> None:
    """Let a verb of the system fail for a folder, in which files are written all the same."""
    real = getattr(os, verb)

    def call(what: Any, *words: Any, **settings: Any) -> Any:
        if os.path.isdir(what):
            raise OSError(number, os.strerror(number))
        return real(what, *words, **settings)

    monkeypatch.setattr(os, verb, call)


@pytest.mark.parametrize("verb", ["open", "fsync"])
@pytest.mark.parametrize("number", UNABLE, ids=errno.errorcode.get)
def test_a_system_that_cannot_sync_a_folder_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, number: int
) -> None:
    fail_for_folders(monkeypatch, verb, number)
    write_whole(tmp_path / "lock", b"new")
    assert (tmp_path / "lock").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["lock"]


@pytest.mark.parametrize("verb", ["open", "fsync"])
@pytest.mark.parametrize("number", BROKEN, ids=errno.errorcode.get)
def test_a_disk_that_fails_is_told_since_the_name_may_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, number: int
) -> None:
    fail_for_folders(monkeypatch, verb, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(tmp_path / "lock", b"new")
    assert os.listdir(tmp_path) == ["lock"]
