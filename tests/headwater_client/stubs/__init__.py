"""Stand-ins for packages that the recipes import and the tests do not install: found first on the import path."""
