"""Every block of the README and of docs/, run from the top with curl and the openssl program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, run


@pytest.mark.interop("openssl", "curl")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_document_does_what_it_says(document: Path, tmp_path: Path) -> None:
    run(document, tmp_path)
