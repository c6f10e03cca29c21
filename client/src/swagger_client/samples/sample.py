"""Earlier import path of `headwater_client.sample`."""

from headwater_client.sample import DatasetId, Sample, sample_of
from headwater_client.sample import PageRequest as Place
from headwater_client.sample import page_request_of as place_of

__all__ = ["DatasetId", "Place", "Sample", "place_of", "sample_of"]
