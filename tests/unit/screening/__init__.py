"""What joint screening decides."""
