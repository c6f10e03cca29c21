"""Earlier import path of `headwater_client.target_folder`."""

from headwater_client.target_folder import SUPPORTS_DIR_FD as CAN_OPEN_BELOW
from headwater_client.target_folder import ParentFolder as Parent
from headwater_client.target_folder import PathBlockedError as InTheWay
from headwater_client.target_folder import TargetFolder as Folder

__all__ = ["CAN_OPEN_BELOW", "Folder", "InTheWay", "Parent"]
