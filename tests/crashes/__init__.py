"""Servers that are killed at random moments, and machines that fail under them: nothing acknowledged is lost."""
