"""What must survive a restart: tables, migrations, queries, and the encryption of secrets."""
