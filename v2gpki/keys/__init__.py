"""Private keys: the suites, the ``Signer`` that issuing needs, PKCS#8 files, and the vault of a home."""
