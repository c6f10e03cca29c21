"""The command line. No decisions."""
