"""The SECC of ISO 15118-20, by subject; `station` joins them."""
