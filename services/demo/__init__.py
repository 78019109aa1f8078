"""The main job at full size: a scenario from files, people who answer their mails, and the books at the end."""
