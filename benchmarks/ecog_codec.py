"""Runs in EcoG's own environment: its codec through py4j, JSON to EXI and back.

In: lines of JSON objects with `exi` (hex) and `namespace`. Out: for each an object with `exi`, `encode_us`,
`decode_us`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from iso15118.shared.exificient_exi_codec import ExificientEXICodec

ROUNDS = 30


def main() -> None:
    codec = ExificientEXICodec()
    for line in sys.stdin:
        case = json.loads(line)
        octets, namespace = bytes.fromhex(case["exi"]), case["namespace"]
        text = codec.decode(octets, namespace)
        spent: dict[str, list[float]] = {"encode_us": [], "decode_us": []}
        for round_ in range(2 * ROUNDS):
            start = time.perf_counter()
            again = codec.encode(text, namespace)
            middle = time.perf_counter()
            codec.decode(octets, namespace)
            end = time.perf_counter()
            if round_ >= ROUNDS:
                spent["encode_us"].append((middle - start) * 1e6)
                spent["decode_us"].append((end - middle) * 1e6)
        medians = {name: statistics.median(values) for name, values in spent.items()}
        sys.stdout.write(json.dumps({"exi": bytes(again).hex(), **medians}) + "\n")
        sys.stdout.flush()
    codec.gateway.shutdown()


main()
