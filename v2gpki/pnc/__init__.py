"""Plug & Charge above messages and certificates: signatures of messages, and what is wrong with one."""
