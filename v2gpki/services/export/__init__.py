"""Writes a PKI as the folder that a foreign stack reads: EcoG's ``PKI_PATH``, EVerest's ``etc/everest/certs``.

The authority keeps no end-entity key, so an export issues the end-entity certificates that the layout needs
by the one issuance path; their keys exist in the exported folder alone, encrypted with one password that
stands beside them, as these stacks demand: the folder is a secret of a lab, never of a production PKI. CA keys
are written only on demand (``ca_keys``): no layout needs one to work; each is a row of the audit log,
written before the key is touched. The folder is built aside and appears whole or not at all.
What a station staples goes with it: OCSP responses for its chain, good for a week.
"""

from __future__ import annotations

from v2gpki.services.export.layout import Layout, Leaf, layout_names, load_layout
from v2gpki.services.export.material import ExportingAuthority, PrivateKeys
from v2gpki.services.export.writing import MANIFEST_SCHEMA, Exported, ExportedFile, export_editions, export_layout

__all__ = [
    "MANIFEST_SCHEMA",
    "Exported",
    "ExportedFile",
    "ExportingAuthority",
    "Layout",
    "Leaf",
    "PrivateKeys",
    "export_editions",
    "export_layout",
    "layout_names",
    "load_layout",
]
