"""Values and rules: pure, no I/O, imports no other room."""
