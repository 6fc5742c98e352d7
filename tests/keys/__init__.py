"""Tests of v2gpki.keys."""
