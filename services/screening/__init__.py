"""Joint screening of registered referrals by both sides."""
