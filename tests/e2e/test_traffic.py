"""Everything at once for some seconds, with several workers too; a minute of it runs in tests/interop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site import prepare, site
from tests.e2e.traffic import drive


@pytest.mark.parametrize("workers", [1, 2])
def test_mixed_traffic_has_no_error(workers: int, tmp_path: Path) -> None:
    with site(prepare(tmp_path), V2GPKI_SERVE_WORKERS=str(workers)) as served:
        traffic = drive(served, 5)
        assert traffic.wrong == []
        assert min(traffic.done.values()) > 2, traffic.done
        assert len(traffic.done) == 6
        served.check_alive()
