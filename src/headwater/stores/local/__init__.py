"""LOCAL: folders of this server's."""
