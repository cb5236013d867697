"""The whole product: `tokenproxy` as a user starts it, against the simulated API."""
