"""One folder per provider. All of them implement one small interface (`base.Store`)."""
