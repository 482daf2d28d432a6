"""Entities found by their words: a query language, what fits it, and slips of spelling."""
