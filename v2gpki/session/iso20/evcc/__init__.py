"""The EVCC of ISO 15118-20, by subject; `vehicle` joins them."""
