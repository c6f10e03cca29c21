"""One file per kind of storage, all answering one small protocol (`base.Store`)."""
