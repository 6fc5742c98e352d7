"""Tests that judge our output with foreign programs; ``needs.toml`` says which and how to install them."""
