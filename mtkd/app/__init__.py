"""What a person starts: command line, batch runs, report page, upload."""
