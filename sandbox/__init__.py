"""Runs untrusted harness code; knows nothing of the optimizer."""
