#!/usr/bin/env bash
# Runs the EXPECT lines of the films and of their test files. A project that has none has nothing to run.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

list_films
if ((${#films[@]} == 0)) || ! grep -qE '^EXPECT([[:blank:]]|$)' -- "${films[@]}"; then
  printf 'no film has an EXPECT line\n'
  exit 0
fi
code=0
kling test -- "${films[@]}" >"$folder/tests.txt" 2>&1 || code=$?
show "$folder/tests.txt"
((code == 0)) || say error "a test of the scripts failed: kling test ended with exit code $code"
exit "$code"
