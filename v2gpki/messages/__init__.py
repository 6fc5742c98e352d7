"""Every ISO 15118 message as a typed class, and its EXI, XML and JSON forms."""
