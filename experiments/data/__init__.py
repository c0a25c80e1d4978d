"""What tasks read: files, downloads, and batches whose position can be saved."""
