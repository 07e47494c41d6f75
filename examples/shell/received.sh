#!/bin/sh
# Prints each message that comes, a line of JSON each: received.sh SOCKET SESSION [AFTER]
# With AFTER, the seq of the last line that was dealt with, it begins with what followed that.
# Needs jq, and socat or OpenBSD's nc. Ends when the daemon does. (wasupctl watch goes on.)
set -eu
socket=$1 session=$2 after=${3:-null}

listen() {
  if command -v socat >/dev/null; then socat -,ignoreeof UNIX-CONNECT:"$socket"; else nc -U "$socket"; fi
}

jq -cn --arg session "$session" --argjson after "$after" '{
  jsonrpc: "2.0", id: 1, method: "events.subscribe",
  params: {sessions: [$session], types: ["message.received"], after: $after}
}' | listen | jq --unbuffered -c '.params.event // empty | {seq} + (.data.message | {from, text})'
