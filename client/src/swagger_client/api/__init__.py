"""The APIs, one module each. `swagger_client.apis` has all of them."""
