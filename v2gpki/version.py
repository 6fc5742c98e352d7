"""The version, alone in a module that imports nothing, so that ``v2gpki --version`` stays instant."""

__version__ = "0.1.0"
