"""Headers of every response to a read URL or write URL.

The files belong to users but share the API's origin. The headers therefore make a browser open a file in a sandbox,
without scripts, and only as its declared type. Every origin may read every response, errors included, so that a page
sees what went wrong instead of a CORS error.
"""

from __future__ import annotations

METHODS = ("GET", "HEAD", "OPTIONS", "PUT")

COMMON_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, X-Request-Id",
    # 'self' for images and media: browsers show a video that is opened directly in a page of their own.
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
    # The URL gives access to the file, so no other page may learn it from a `Referer`.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PREFLIGHT_HEADERS = {
    **COMMON_HEADERS,
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    # `*` does not include Authorization; clients that send it with every request are accepted too.
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "86400",
    "Allow": ", ".join(METHODS),
}
