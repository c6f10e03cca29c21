"""What ships for authors of stores."""
