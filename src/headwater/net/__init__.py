"""What every outgoing HTTP request needs: transport, connections, egress rules, URLs, refreshed values, threads."""
