#!/usr/bin/env bash
# Keeps one comment on the pull request (GitHub) or merge request (GitLab) up to date with the report.
# Without a token that may write, as in a pull request from a fork, the report is in the summary of the run, or among
# the artifacts, and the step passes. The token goes to curl by its standard input: arguments can be seen by others.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

marker='<!-- kling: what this change costs -->'
most=60000 # GitHub takes 65,536 characters
most_pages=50

[[ -s $folder/report.md ]] || exit 0
if [[ $(cat "$folder/code") == 3 && -s $folder/reason.txt ]]; then
  # Indented by four blanks it is code, whatever it says.
  { printf '\n\nRefused:\n\n' && sed 's/^/    /' "$folder/reason.txt"; } >>"$folder/report.md"
fi

if [[ ${GITHUB_ACTIONS:-} == true ]]; then
  elsewhere="the summary of this run"
  whole="[$elsewhere](${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/${GITHUB_RUN_ID:-})"
  # A summary of more than 1 MiB is refused whole.
  { head -c 1000000 "$folder/report.md" && printf '\n'; } >>"$GITHUB_STEP_SUMMARY"
  number="${KLING_NUMBER:-}"
  token="${KLING_TOKEN:-}"
  header="Authorization: Bearer"
  comments="${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY/issues/$number/comments"
  one="${GITHUB_API_URL:-https://api.github.com}/repos/$GITHUB_REPOSITORY/issues/comments"
  change=PATCH
else
  elsewhere="the artifacts of this job"
  whole="[$elsewhere](${CI_JOB_URL:-})"
  number="${CI_MERGE_REQUEST_IID:-}"
  token="${KLING_GITLAB_TOKEN:-}"
  header="PRIVATE-TOKEN:"
  comments="${CI_API_V4_URL:-}/projects/${CI_PROJECT_ID:-}/merge_requests/$number/notes"
  one="$comments"
  change=PUT
fi

give_up() {
  say notice "no comment was written, because $1; what the change costs is in $elsewhere"
  exit 0
}

# api METHOD URL [FILE]: print the status of the answer, which is left in answer.json; 000 when none came.
api() {
  local options
  options=(--request "$1" --url "$2" --max-time 60 --silent --output "$folder/answer.json" --write-out '%{http_code}')
  options+=(--header "Accept: application/json" --header "Content-Type: application/json")
  [[ -z ${3:-} ]] || options+=(--data-binary "@$3")
  # A GET may be sent again; a comment that was written twice would be two.
  [[ $1 != GET ]] || options+=(--retry 3 --retry-max-time 60)
  printf 'header = "%s %s"\n' "$header" "$token" | curl --disable --config - "${options[@]}" || true
}

# find_own: set `own` to the id of our comment; somebody else's with our mark in it is not ours.
find_own() {
  local page count author="github-actions[bot]"
  own=""
  if [[ $header == PRIVATE-TOKEN: ]]; then
    status="$(api GET "$CI_API_V4_URL/user")"
    [[ $status == 200 ]] || return 1
    author="$(jq -r .username "$folder/answer.json")"
  fi
  for ((page = 1; page <= most_pages; page++)); do
    status="$(api GET "$comments?per_page=100&page=$page")"
    [[ $status == 200 ]] || return 1
    jq -r --arg mark "$marker" --arg author "$author" '
      ([.[] | select((.body // "" | startswith($mark)) and ((.user.login // .author.username) == $author))][0].id // ""),
      length
    ' "$folder/answer.json" >"$folder/page.txt"
    { read -r own && read -r count; } <"$folder/page.txt"
    [[ -z $own ]] && ((count == 100)) || break
  done
}

[[ ${KLING_COMMENT:-true} == true ]] || exit 0
[[ $number =~ ^[0-9]+$ ]] || give_up "this is no pull request"
[[ -n $token ]] || give_up "there is no token to write it with"
for program in curl jq; do
  command -v "$program" >/dev/null || give_up "$program is not installed here"
done

# An @ would notify whoever has a character's name, and GitLab obeys a line that begins with a slash: a character that
# is not seen (U+2060) stands between. A text that is cut closes what it has opened.
jq -Rs --arg mark "$marker" --arg whole "$whole" --argjson most "$most" '
  split("@") | join("@\u2060") | split("\n") | map(if test("^\\s*/[a-z]") then "\u2060" + . else . end) | join("\n")
  | if length <= $most then . else
      .[:$most] | split("\n")[:-1] as $lines | ($lines | join("\n"))
      + (if [$lines[] | select(startswith("```"))] | length % 2 == 1 then "\n```" else "" end)
      + "\n</details>" * (([$lines[] | scan("<details")] | length) - ([$lines[] | scan("</details>")] | length))
      + "\n\nThe rest does not fit into a comment: see \($whole).\n"
    end
  | {body: "\($mark)\n\(.)"}
' "$folder/report.md" >"$folder/comment.json"

status=000
find_own || {
  [[ $status != 40[134] ]] || give_up "this token may not read the comments (HTTP $status), as in a pull request from a fork"
  give_up "the comments could not be read (HTTP $status)"
}
# A change that is none to any film begins no comment; one that is there is corrected.
if [[ -z $own ]] && grep -q 'as before; nothing to buy for what changed' "$folder/report.md" &&
  ! grep -q '^|' "$folder/report.md"; then
  printf 'no clip changed, and there is no comment that says otherwise\n'
  exit 0
fi
if [[ -n $own ]]; then
  status="$(api "$change" "$one/$own" "$folder/comment.json")"
  # Somebody may have deleted it in the meantime.
  [[ $status != 404 ]] || own=""
fi
[[ -n $own ]] || status="$(api POST "$comments" "$folder/comment.json")"
case "$status" in
  20[01]) printf 'the comment says what the change costs\n' ;;
  40[134]) give_up "this token may not write one (HTTP $status), as in a pull request from a fork" ;;
  *) give_up "it was not taken (HTTP $status)" ;;
esac
