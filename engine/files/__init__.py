"""A session as a file: one self-contained SQLite database with its journal, its rows and nobody else's."""
