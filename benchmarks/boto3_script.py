"""The script that people write without a datasource service: list a bucket with boto3's paginator and sign each key.

`python -m benchmarks.boto3_script ENDPOINT BUCKET` prints the number of URLs and the seconds.
"""

from __future__ import annotations

import sys
import time

import boto3
from botocore.config import Config

endpoint, bucket = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="test-key-id",
    aws_secret_access_key="test-secret",
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
)
began = time.perf_counter()
count = 0
for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    for found in page.get("Contents", []):
        client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": found["Key"]}, ExpiresIn=86400)
        count += 1
print(count, time.perf_counter() - began)
