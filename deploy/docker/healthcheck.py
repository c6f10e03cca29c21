"""Exit with 0 if the server of this container answers, with 1 if not. The argument is the path, /healthz by default."""

import http.client
import sys
from urllib.parse import urlsplit

from headwater.settings import Settings

url = urlsplit(Settings.load().listening_url)
connection = http.client.HTTPConnection(url.netloc, timeout=5)
try:
    connection.request("GET", sys.argv[1] if len(sys.argv) > 1 else "/healthz")
    response = connection.getresponse()
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"the server at {url.geturl()} does not answer: {error}")
sys.exit(0 if response.status == 200 else f"status {response.status}")
