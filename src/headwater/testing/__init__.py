"""Test suites for authors of stores; see `headwater.testing.conformance`."""

from headwater.testing.conformance import StoreConformance
from headwater.testing.prepared import Prepared

__all__ = ["Prepared", "StoreConformance"]
