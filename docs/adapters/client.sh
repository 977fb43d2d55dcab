#!/bin/bash
# An adapter: talks to the server of docs/tutorial. One JSON object a line, in and out.
# Needs curl; slow, as it starts one for each operation.
field() { # A text or a number out of a flat JSON object.
  local pattern="\"$1\":\"?([^],}\"]*)"
  [[ $line =~ $pattern ]] && echo "${BASH_REMATCH[1]}"
}
answer() { echo "{\"id\":$(field id),\"type\":$1}"; }

while IFS= read -r line; do
  case "$(field type)" in
    open) addr=$(field addr) patience=$(field timeout_ms) && answer '"ok"' && continue ;;
    close) answer '"ok"' && continue ;;
  esac
  f=$(field f) key=$(field key)
  case "$f" in
    read) call=(-X GET) ;;
    write) call=(-X PUT --data "$(field value)") ;;
    cas)
      pattern='"value":\[([^,]*),([^]]*)\]'
      [[ $line =~ $pattern ]]
      call=(-X POST --data "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}") ;;
    *) answer '"fail","error":"not-supported"' && continue ;;
  esac
  seconds=$(printf '%d.%03d' $((patience / 1000)) $((patience % 1000)))
  reply=$(curl -s --max-time "$seconds" -w '\n%{http_code}' "${call[@]}" "http://$addr/$key")
  code=$? status=${reply##*$'\n'} text=${reply%$'\n'*}
  case "$code $status $f" in
    "0 200 read") answer "\"ok\",\"value\":$text" ;;
    "0 404 read") answer '"ok","value":null' ;;
    "0 200 "*) answer '"ok"' ;;
    "0 409 "*) answer '"fail","error":"precondition-failed"' ;;
    "7 "*) answer '"fail","error":"refused"' ;; # curl could not connect: nothing was sent.
    *) answer "\"info\",\"error\":\"curl $code, status $status\"" ;; # It may have arrived.
  esac
done
