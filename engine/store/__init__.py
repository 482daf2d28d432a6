"""The database: the engine's tables, transactions, and migrations. Only here does a transaction begin."""
