"""The use cases, named after the verbs of the API."""
