"""Sessions of ISO 15118 as engines without input and output: octets and a time in; octets, questions, notices out.

One engine is one session on one connection, as SECC or as EVCC. What the standard decides is in here: order, timers,
session ids, refusals. What it leaves to people (whom to trust, whom to charge, how much power) is a question to the
driver, as is everything that needs a key. Clauses: ISO 15118-2 clause 8, ISO 15118-20 clause 8.
"""
