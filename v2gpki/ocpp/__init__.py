"""OCPP shapes: payloads as values and plain mappings, no connection."""
