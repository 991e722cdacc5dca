"""The reports: what a compilation found and costs, as text, data and pages."""
