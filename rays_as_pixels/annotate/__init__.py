"""Cameras for thousands of videos, as a Parquet data set: resumable, failures listed."""
