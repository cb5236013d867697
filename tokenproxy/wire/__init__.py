"""Providers' wire languages, sans-IO: bytes in, facts out. Imports nothing of ours but itself."""
