"""The services of this house, asked for at somebody else: the same interfaces over HTTP."""
