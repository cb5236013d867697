"""Programs that use a client as its users do; each runs in the client's own environment.

Each prints one JSON object a call: what the client itself reports, under the names of the
ledger's columns. They must not import anything of ours: it is not there.
"""
