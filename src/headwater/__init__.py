"""Headwater: the self-hosted datasource service for ML datasets."""

__version__ = "0.1.0"
