#!/usr/bin/env bash
# Checks the films; each mistake becomes an annotation, and with KLING_SARIF a SARIF file is written as well.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

list_films
if ((${#films[@]} == 0)); then
  say notice "there is no film to check"
  exit 0
fi
options=(--format "${KLING_CHECK_FORMAT:-github}")
[[ ${KLING_STRICT:-} != true ]] || options+=(--strict)
if [[ -n ${KLING_SARIF:-} ]]; then
  mkdir -p -- "$(dirname -- "$KLING_SARIF")"
  code=0
  kling check --format sarif -- "${films[@]}" >"$KLING_SARIF" || code=$?
  # 1 says that there are mistakes, which is told below.
  ((code <= 1)) || exit "$code"
fi
kling check "${options[@]}" -- "${films[@]}"
