"""What all users of these tests have in common."""

PASSWORD = "a good long password"
