"""Tests against a real Kafka and a real S3-protocol server."""
