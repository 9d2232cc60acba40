"""One forward pass (draft)."""
