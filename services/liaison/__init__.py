"""Liaison: tells the named persons of both sides what concerns them, and asks until someone has taken note."""
