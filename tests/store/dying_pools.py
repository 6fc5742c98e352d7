"""Every kind of write of the pools, for ``dying.DyingStore``; run as a program by ``test_pool_processes``.

usage: dying_pools.py PATH WHERE NUMBER HOW, as ``dying``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.store import dying
from tests.store.pool_samples import answer, bundle, certified, contract, deliver, prefix, root, vehicle
from tests.store.samples import NOW, sign_head
from v2gpki.store.sqlite import SqliteStore


def deeds(store: SqliteStore) -> None:
    """Two vehicles, three contracts, five bundles, each kind of end."""
    pools = store.pools
    pools.decide_root(root(1))
    pools.bind_prefix(prefix("WMI"))
    pools.register_vehicle(vehicle(0))
    pools.register_vehicle(vehicle(1))
    first, second, third = (pools.add_contract(one) for one in (contract(1), contract(2), contract(3, car=1)))
    _, last = deliver(store, first, [1, 2])
    deliver(store, second, [3])
    deliver(store, third, [4])
    pools.add_bundle(bundle(third, certified(4)[0], key=1), "me")
    pools.record_answer(answer(1, [last]), "me")
    pools.record_answer(answer(2, [last]), "me", lasting=False)
    pools.take_position("a", bytes(32), 2, NOW)
    pools.set_default_contract(second.id, NOW, "me")
    pools.register_vehicle(vehicle(0, key=1))
    pools.end_contract(second.id, NOW, "superseded", "me")
    pools.delete_vehicle(third.pcid, NOW, "me")
    pools.release_prefix("wmi", "WMI", NOW, "me")
    sign_head(store)


if __name__ == "__main__":
    made = dying.DyingStore(Path(sys.argv[1]))
    dying.WHERE[sys.argv[2]] = int(sys.argv[3])
    dying.HOW[0] = sys.argv[4]
    dying.COUNT["armed"] = 1
    deeds(made)
    dying.COUNT["armed"] = 0
    made.close()
    print(dying.COUNT["seen"])
