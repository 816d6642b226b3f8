"""Measurements of whole commands; each writes its raw results, with the command and the machine, as JSON."""
