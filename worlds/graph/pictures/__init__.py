"""Drawings of a graph, laid out so that names can be read."""
