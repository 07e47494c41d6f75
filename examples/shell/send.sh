#!/bin/sh
# Sends a text and prints the message's id: send.sh SOCKET SESSION TO TEXT
# Needs jq, and socat or OpenBSD's nc. (wasupctl send does the same and more.)
set -eu
socket=$1 session=$2 to=$3 text=$4

ask() { # a line in, the answer out
  if command -v socat >/dev/null; then socat -t 90 - UNIX-CONNECT:"$socket"; else nc -NU "$socket"; fi
}

jq -cn --arg session "$session" --arg to "$to" --arg text "$text" '{
  jsonrpc: "2.0", id: 1, method: "message.send",
  params: {sessionId: $session, to: $to, text: $text, wait: "sent"}
}' | ask | jq -r 'if .error then "\(.error.data.code): \(.error.message)\n" | halt_error(1) else .result.id end'
