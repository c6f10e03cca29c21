"""Histories that try to make the datasource lose a version or hand it out twice, against real server processes."""
