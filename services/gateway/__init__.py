"""The HTTP front door for systems that have no Kafka: events and files in, cases and outcomes out."""
