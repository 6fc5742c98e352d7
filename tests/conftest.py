"""What every test shares: deterministic Hypothesis, and nothing else of weight."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "v2gpki",
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("v2gpki")
