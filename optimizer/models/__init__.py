"""Clients of language models, and prices."""
