"""Signing in a process of its own: the words that are exchanged, who asks (a worker), and who answers (the keeper)."""
