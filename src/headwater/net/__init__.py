"""What any outgoing HTTP needs: transport, connections, egress rules, refreshing of what expires, threads."""
