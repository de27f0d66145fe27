"""Pure statistics and decision policy: no model, process, clock or dice."""
