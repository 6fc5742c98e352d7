"""ISO 15118-2: its flow table, its messages, the SECC and the EVCC."""
