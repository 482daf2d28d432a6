"""People: their accounts and browsers, what strangers may try, and what is held about each."""
