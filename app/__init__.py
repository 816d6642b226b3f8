"""Request to probabilities: the HTTP server. ``app.main`` builds it, ``app.serve`` runs it."""

__version__ = "0.1.0"
