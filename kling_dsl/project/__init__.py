"""The project on the disk: its root, its settings, its texts and what its media files are."""

from __future__ import annotations

from kling_dsl.project.disk import DiskWorld, Signature
from kling_dsl.project.root import Project, find_project, find_root
from kling_dsl.project.settings import Settings
from kling_dsl.project.videos import media_extra_present

__all__ = ["DiskWorld", "Project", "Settings", "Signature", "find_project", "find_root", "media_extra_present"]
