"""What integration tests run against: a real Kafka and a real S3, however they can be had here."""
