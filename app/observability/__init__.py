"""Every metric and every log line of the server."""
