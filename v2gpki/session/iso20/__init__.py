"""ISO 15118-20: its flow table, its messages, the SECC and the EVCC, for AC and DC, one way and both."""
