"""S3, stores that speak its protocol, and AWS roles."""
