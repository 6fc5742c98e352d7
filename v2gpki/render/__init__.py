"""Values to text and pictures: no terminal, no colour library, no clock; the caller decides about those."""
