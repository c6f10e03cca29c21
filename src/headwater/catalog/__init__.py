"""What must survive a restart: tables, queries, migrations, encryption of secrets."""
