"""One Chrome: found, started, spoken to over DevTools, and ended without a trace.

Owns processes, pipes, profiles and pages. Must not know WhatsApp, clients or SQL.
"""
