"""Rollouts: planned, scheduled, raced and run."""
