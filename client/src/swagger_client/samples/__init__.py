"""What a program does with the files of a datasource: stream them, treat what is new, download them.

from swagger_client.samples import download, iter_samples, new_samples

for sample in iter_samples(api, dataset_id):          # page by page, also through failures of the network
    print(sample.file_name)

with new_samples(api, dataset_id) as samples:         # since the watermark, which moves if the block succeeds
    download(samples, "images")                       # with several threads, resuming what was begun
"""

from swagger_client.samples.downloading import Downloaded, DownloadError, download
from swagger_client.samples.folder import InTheWay
from swagger_client.samples.listing import iter_samples
from swagger_client.samples.names import UnusableName
from swagger_client.samples.read_urls import ReadUrls
from swagger_client.samples.sample import Sample
from swagger_client.samples.transfer import TransferError
from swagger_client.samples.twins import SameToTheFileSystem
from swagger_client.samples.watermark import NewSamples, new_samples

__all__ = [
    "DownloadError",
    "Downloaded",
    "InTheWay",
    "NewSamples",
    "ReadUrls",
    "SameToTheFileSystem",
    "Sample",
    "TransferError",
    "UnusableName",
    "download",
    "iter_samples",
    "new_samples",
]
