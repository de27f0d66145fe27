"""Traces in and out: foreign logs become runs, and what could name a person becomes a pseudonym."""
