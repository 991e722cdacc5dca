"""A server on this machine that speaks fal's queue, upload and media protocol, and costs nothing."""

from __future__ import annotations

from kling_dsl.sandbox.bill import Bill, Submission
from kling_dsl.sandbox.faults import FAULTS, Fault, read_fault
from kling_dsl.sandbox.settings import Settings, missing_packages
from kling_dsl.sandbox.stage import Running, running

__all__ = [
    "FAULTS",
    "Bill",
    "Fault",
    "Running",
    "Settings",
    "Submission",
    "missing_packages",
    "read_fault",
    "running",
]
