"""The one door out of a sandbox: task session and model API."""
