"""A lab PKI in ten lines: every authority of ISO 15118-2, then one station, one vehicle, one contract."""

import sys

import v2gpki

with v2gpki.open_authority(sys.argv[1], passphrase="only for the lab", create=True) as ca:
    ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    for role, identifier in [("secc", "DE*ACM*E0001"), ("oem", "WACME000000000001"), ("contract", "DEACMC12345678")]:
        issued = ca.issue(role, id=identifier)
        print(f"{issued.record.serial:x} {issued.record.subject}, chain of {len(issued.chain)}")
