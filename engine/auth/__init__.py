"""Who may: the authorization server, local accounts, upstream providers, and the gate before the MCP endpoints."""
