"""EXI (W3C Efficient XML Interchange 1.0), schema-informed, bit-packed, without options: the form ISO 15118 uses.

The rooms: `ir` (the neutral grammar), `primitives` and `bitstream` (values and bits), `generate` (grammar to code:
strict and fast), `interpret` (table-driven: traces, tolerance, error positions). Nothing here knows a schema;
`v2gpki.messages` is the only importer.
"""
