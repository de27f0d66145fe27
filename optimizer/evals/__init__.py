"""Eval cases, the regression suite and the splits."""
