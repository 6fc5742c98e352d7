"""A home as people look at it: its hierarchy, one authority, one certificate, what a text finds; read-only.

Answers are plain values, the same for JSON and for the page. What belongs to a person (the EMAID of a contract, the
PCID of a vehicle, an EVCCID) is only shown to who asks for exactly that; private keys, callers and files never are.
"""

from v2gpki.services.browsing.certificates import Asked, personal
from v2gpki.services.browsing.hierarchy import forest, tree_value
from v2gpki.services.browsing.sights import Sights

__all__ = ["Asked", "Sights", "forest", "personal", "tree_value"]
