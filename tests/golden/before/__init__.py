"""The world `ledger` in its version 1."""
