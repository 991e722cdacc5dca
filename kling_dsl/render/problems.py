"""What can end a render from the outside, in words for the writer."""

from __future__ import annotations


class RenderProblem(Exception):
    """A render cannot begin or go on; the message says why and what to do."""


class NoKey(RenderProblem):
    """There is no key, or one that cannot be sent."""


class AccountRefused(RenderProblem):
    """The provider refused the account: a wrong key, or no money in it. Nothing was bought by that request."""


class FromSandbox(RenderProblem):
    """A sandbox answered where fal was expected, so that nothing that follows is real."""

    def __init__(self) -> None:
        super().__init__(
            "a sandbox answers where fal is expected, and nothing real can be bought or fetched there: unset "
            "FAL_QUEUE_RUN_HOST, FAL_RUN_HOST and HTTPS_PROXY, or render with --sandbox"
        )


class UploadFailed(RenderProblem):
    """A file that a request needs could not be brought to the provider; nothing was bought."""
