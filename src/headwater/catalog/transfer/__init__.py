"""Catalogs in files: backups, and moves to another database (docs/reference/catalog-file.md)."""
