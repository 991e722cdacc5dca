#!/usr/bin/env bash
# Runs the tests of the scripts, when this version of kling has a command for them.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! kling --help | grep -E '^ +test( |$)' >/dev/null; then
  printf 'this version of kling has no command for tests of scripts\n'
  exit 0
fi
list_films
((${#films[@]})) || exit 0
code=0
kling test -- "${films[@]}" >"$folder/tests.txt" 2>&1 || code=$?
show "$folder/tests.txt"
((code == 0)) || say error "a test of the scripts failed: kling test ended with exit code $code"
exit "$code"
