"""What a decode process may do, and how it gives up the rest: docs/decisions/07-sandbox.md."""
