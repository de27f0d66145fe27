"""The insert-only record of a campaign and its read models."""
