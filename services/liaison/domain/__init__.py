"""The rules of liaison: who is told what, until when it has to be acknowledged, and what happens when it is not."""
