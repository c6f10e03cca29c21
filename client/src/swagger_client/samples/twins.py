"""Earlier import path of `headwater_client.case_collisions`."""

from headwater_client.case_collisions import CaseCollisionError as SameToTheFileSystem
from headwater_client.case_collisions import CaseCollisionGuard as Twins

__all__ = ["SameToTheFileSystem", "Twins"]
