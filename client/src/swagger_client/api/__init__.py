"""The APIs, one module each. All of them together: `swagger_client.apis`."""
