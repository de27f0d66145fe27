"""campaign.toml -> validated settings."""
