"""Knows HTTP and no model: routes, schemas, uploads, problem details, authentication."""
