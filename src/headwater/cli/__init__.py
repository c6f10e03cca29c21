"""The command line. It decides nothing: it calls the service and prints the result."""
