"""Earlier import path of `headwater_client.file_names`."""

from headwater_client.file_names import MAX_PART_LENGTH as LONGEST_PART
from headwater_client.file_names import PathParts as Parts
from headwater_client.file_names import UnusableNameError as UnusableName
from headwater_client.file_names import path_parts as parts_of
from headwater_client.file_names import printable as shown
from headwater_client.file_names import temporary_name as temporary

__all__ = ["LONGEST_PART", "Parts", "UnusableName", "parts_of", "shown", "temporary"]
