"""Reading the ledger: reports and the trace tree."""
