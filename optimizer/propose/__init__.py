"""Proposers of harness edits."""
