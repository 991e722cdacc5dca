#!/usr/bin/env bash
# Fails when the change costs more than KLING_MAX_INCREASE allows, or when nobody can say whether it does.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -f $folder/code ]] || exit 0
code="$(cat "$folder/code")"
reason="$(cat "$folder/reason.txt" 2>/dev/null || true)"
case "$code" in
  0 | 5) ;;
  1)
    # What is wrong with the new side has failed the check; the old side is not this change's fault.
    if [[ -n ${KLING_MAX_INCREASE:-} ]]; then
      say error "what the change costs cannot be held against the limit, because one side does not compile"
      exit 1
    fi
    say notice "one side of the change does not compile, so its cost is not known"
    ;;
  3)
    say error "${reason:-the change costs more than it may}"
    exit 3
    ;;
  unknown)
    if [[ -n ${KLING_MAX_INCREASE:-} ]]; then
      say error "what the change costs is not known, so it cannot be held against the limit"
      exit 1
    fi
    ;;
  *)
    say error "kling diff ended with exit code $code${reason:+: $reason}"
    exit 1
    ;;
esac
