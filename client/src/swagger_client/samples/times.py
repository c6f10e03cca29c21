"""Earlier import path of `headwater_client.times`."""

from headwater_client.times import Time, server_seconds, unix_seconds

__all__ = ["Time", "server_seconds", "unix_seconds"]
