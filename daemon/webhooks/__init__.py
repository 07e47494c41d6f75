"""Webhooks: the events of the log, POSTed to programs elsewhere, as Standard Webhooks.

`delivery` carries out one webhook, `hooks` all of them; `sender` makes one request, to an address that
`guard` lets through, signed by `signature`; `schedule` says when the next is due.
"""
