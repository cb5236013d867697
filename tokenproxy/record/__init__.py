"""The record: calls, prices, journal and ledger, in a thread of their own."""
