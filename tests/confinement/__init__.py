"""What nobody may reach through the server: addresses that only it can reach, and files outside the mount root."""
