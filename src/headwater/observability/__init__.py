"""How the server is observed: logs."""
