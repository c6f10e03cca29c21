"""The pages a person looks at. No decisions."""
