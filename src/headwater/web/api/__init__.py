"""The JSON routes of the contract."""
