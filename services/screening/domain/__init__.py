"""The rules of joint screening: pure, without I/O or clock."""
