#!/usr/bin/env bash
# Writes what the change costs to report.md, and how kling ended to code; comment.sh and verdict.sh read them.
#   KLING_BASE      a revision to compare with; without it the branch that the change goes to
#   KLING_TARGET    the name of that branch, KLING_BASE_SHA a commit of it
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

rm -f "$folder/report.md" "$folder/code" "$folder/reason.txt"

# commit_of REVISION: print its commit, or fail.
commit_of() {
  [[ -n $1 && $1 != -* ]] && git rev-parse --verify --quiet "$1^{commit}" 2>/dev/null
}

# find_base: set `base` to a commit that HEAD has a common ancestor with.
find_base() {
  local name
  for name in "${wanted[@]}"; do
    base="$(commit_of "$name")" && git merge-base "$base" HEAD >/dev/null 2>&1 && return 0
  done
  return 1
}

# fetch_base: get what a shallow clone lacks, a part of the history first and all of it at last.
fetch_base() {
  local how get sha="${KLING_BASE:-${KLING_BASE_SHA:-}}"
  export GIT_TERMINAL_PROMPT=0
  for how in --deepen=50 --deepen=1000 --unshallow; do
    get=(git fetch --quiet --no-tags --no-recurse-submodules)
    [[ $(git rev-parse --is-shallow-repository) != true ]] || get+=("$how")
    if git check-ref-format "refs/heads/$branch"; then
      "${get[@]}" origin "+refs/heads/$branch:refs/remotes/origin/$branch" </dev/null 2>"$folder/fetch.txt" || true
      find_base && return 0
    fi
    if [[ $sha =~ ^[0-9a-f]{40}([0-9a-f]{24})?$ ]]; then
      "${get[@]}" origin "$sha" </dev/null 2>>"$folder/fetch.txt" || true
      find_base && return 0
    fi
  done
  return 1
}

if [[ -n ${KLING_BASE:-} ]]; then
  branch="$KLING_BASE"
  wanted=("$KLING_BASE" "refs/remotes/origin/$KLING_BASE")
elif [[ -n ${KLING_TARGET:-} ]]; then
  branch="$KLING_TARGET"
  wanted=("refs/remotes/origin/$KLING_TARGET" "${KLING_BASE_SHA:-}")
else
  say notice "there is nothing to compare with: this is no pull request, and no base was named"
  exit 0
fi

base=""
if ! find_base && ! fetch_base; then
  show "$folder/fetch.txt"
  say warning "the cost of the change is not known, because this clone has no common history with its base: give actions/checkout 'fetch-depth: 0' (on GitLab, set GIT_DEPTH to \"0\")"
  printf 'unknown\n' >"$folder/code"
  exit 0
fi

# Never the name of a branch: it is a stranger's, and the report would repeat it.
against="$(git rev-parse --short=12 "$base")"
options=(--format markdown)
[[ -z ${KLING_MAX_INCREASE:-} ]] || options+=("--max-increase=$KLING_MAX_INCREASE")
read_patterns
if ((${#patterns[@]})); then
  list_films
  # A film that the change removes is part of its cost.
  git --glob-pathspecs diff -z --name-only --no-renames --no-ext-diff --diff-filter=D "$base...HEAD" -- \
    "${patterns[@]}" >"$folder/removed"
  while IFS= read -r -d '' film; do films+=("$film"); done <"$folder/removed"
  if ((${#films[@]} == 0)); then
    say notice "there is no film to compare"
    exit 0
  fi
  options+=(-- "${films[@]}")
fi
code=0
kling diff "$against...HEAD" "${options[@]}" >"$folder/report.md" 2>"$folder/reason.txt" || code=$?
printf '%s\n' "$code" >"$folder/code"
show "$folder/reason.txt"
