"""Small tools every room may use: environment variables, errors, secrets, leases of time. Imports no room."""
