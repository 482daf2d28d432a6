"""The pages that people see, without scripts: signing in, consenting, their account, what links lead to."""
