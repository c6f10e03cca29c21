"""Work with the files of a datasource: stream a listing, process what is new, download files.

from headwater_client import download, iter_samples, new_samples

for sample in iter_samples(api, dataset_id):          # page by page, with retries after network errors
    print(sample.file_name)

with new_samples(api, dataset_id) as samples:         # from the watermark on; it moves if the block succeeds
    download(samples, "images")                       # with several threads; resumes partial files
"""

from headwater_client.case_collisions import CaseCollisionError
from headwater_client.datasource import WatermarkResetWarning, set_datasource
from headwater_client.downloads import Downloaded, DownloadError, download
from headwater_client.file_names import UnusableNameError
from headwater_client.listing import iter_samples
from headwater_client.read_urls import ReadUrls
from headwater_client.sample import Sample
from headwater_client.target_folder import PathBlockedError
from headwater_client.transfer import RefusedError, TransferError
from headwater_client.watermark import NewSamples, new_samples

__all__ = [
    "CaseCollisionError",
    "DownloadError",
    "Downloaded",
    "NewSamples",
    "PathBlockedError",
    "ReadUrls",
    "RefusedError",
    "Sample",
    "TransferError",
    "UnusableNameError",
    "WatermarkResetWarning",
    "download",
    "iter_samples",
    "new_samples",
    "set_datasource",
]
