"""helpdesk: a bundled, offline customer-service world with a simulated model."""
