"""Referral intake: takes recommendations in, checks them, and opens a case for each sound one."""
