"""What the embedded default brings with it: a real Kafka broker and a real SMTP server, started when none is given."""
