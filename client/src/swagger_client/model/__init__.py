"""The models, one module each. All of them together: `swagger_client.models`."""
