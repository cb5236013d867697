"""Who is measured: one file a peer."""
