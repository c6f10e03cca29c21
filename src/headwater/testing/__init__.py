"""Test suites for authors of stores.

    from headwater.testing import FaultConformance, FaultSetup, Prepared, StoreConformance

`StoreConformance` checks what every store must do, against a real server. `FaultConformance` checks that no network or
server fault makes a listing incomplete, wrong or endless. Import this package in tests only: pytest and pytest-asyncio
are not installed with Headwater.
"""

from headwater.testing.conformance import StoreConformance
from headwater.testing.fault_conformance import FaultConformance
from headwater.testing.fault_setup import FaultSetup
from headwater.testing.prepared import Prepared

__all__ = ["FaultConformance", "FaultSetup", "Prepared", "StoreConformance"]
