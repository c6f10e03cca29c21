"""HTTP: routes, requests, responses and errors on the wire. No decisions."""
