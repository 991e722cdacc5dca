# What the steps share. They read their settings from the environment, and nothing of a pull request is ever put into
# the text of a command: names of branches and films, titles and prompts are a stranger's.
# shellcheck shell=bash
set -euo pipefail

# Where one step leaves what the next one needs.
folder="${KLING_REVIEW:-${RUNNER_TEMP:-${TMPDIR:-/tmp}}/kling-review}"
mkdir -p "$folder"

# say notice|warning|error TEXT: as an annotation on GitHub, as a line elsewhere.
say() {
  local text="$2"
  if [[ ${GITHUB_ACTIONS:-} == true ]]; then
    text="${text//'%'/%25}"
    text="${text//$'\r'/%0D}"
    text="${text//$'\n'/%0A}"
    printf '::%s::%s\n' "$1" "$text"
  else
    printf 'kling: %s: %s\n' "$1" "$text"
  fi
}

# show FILE: print a text that may hold a stranger's words. GitHub obeys lines that begin with "::", so it is told not to.
show() {
  [[ -s $1 ]] || return 0
  if [[ ${GITHUB_ACTIONS:-} == true ]]; then
    local word
    word="kling-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    printf '::stop-commands::%s\n' "$word"
    cat "$1"
    printf '\n::%s::\n' "$word"
  else
    cat "$1"
  fi
}

# read_patterns: fill `patterns` with the lines of KLING_FILMS, blanks around them and empty lines left out.
read_patterns() {
  local line
  patterns=()
  while IFS= read -r line || [[ -n $line ]]; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [[ -z $line ]] || patterns+=("$line")
  done <<<"${KLING_FILMS:-}"
}

# list_films: fill `films` with the films that git knows of the patterns, or of every name that ends in .kling.
list_films() {
  local film
  films=()
  read_patterns
  ((${#patterns[@]})) || patterns=('**/*.kling')
  git --glob-pathspecs ls-files -z -- "${patterns[@]}" >"$folder/films"
  while IFS= read -r -d '' film; do films+=("$film"); done <"$folder/films"
}
