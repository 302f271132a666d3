#!/bin/bash
# Succeeds when the server at 127.0.0.1:${1:-8080} is ready. Needs nothing but bash: the images have no curl.
exec 3<>"/dev/tcp/127.0.0.1/${1:-8080}" || exit 1
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 4 _ status _ <&3 || exit 1
[ "$status" = 200 ]
