"""Signing in elsewhere: providers, who may come in from there, and the way there and back."""
