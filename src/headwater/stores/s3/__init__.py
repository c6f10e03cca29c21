"""S3, what speaks its protocol, and roles of AWS."""
