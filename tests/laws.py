"""How hard the laws look: KLING_EXAMPLES multiplies the number of examples of each."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_TIMES = float(os.environ.get("KLING_EXAMPLES", "1"))
_UNHEALTHY = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def examples(count: int) -> settings:
    """Return the settings of a law that is held to `count` examples, times what KLING_EXAMPLES says."""
    return settings(max_examples=max(1, round(count * _TIMES)), deadline=None, suppress_health_check=_UNHEALTHY)


def seeded_examples(count: int) -> settings:
    """Return the same for a law whose examples hang on a seed, which does not shrink and would be tried for minutes."""
    return settings(examples(count), phases=(Phase.explicit, Phase.reuse, Phase.generate))
