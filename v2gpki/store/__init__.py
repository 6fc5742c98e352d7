"""Where authorities, certificates, revocations and the audit log live: ``protocol`` and its SQLite implementation."""
