"""The world `ledger` in its version 2, which upgrades what version 1 stored."""
