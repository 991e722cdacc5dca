#!/usr/bin/env bash
# Installs kling into an environment of its own: KLING_PACKAGE as pip takes it, or else the Action's own checkout.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package="${KLING_PACKAGE:-}"
[[ -n $package ]] || package="$GITHUB_ACTION_PATH"
python="$(command -v python3 || command -v python)" || {
  say error "kling needs Python 3.11 or newer, and there is none: set it up in a step before this one"
  exit 1
}
place="$folder/environment"
# Isolated (-I), since a folder "pip" or "venv" in the pull request would else be run.
"$python" -I -m venv --clear "$place"
programs="$place/bin"
[[ -d $programs ]] || programs="$place/Scripts"
"$programs/python" -I -m pip install --quiet --disable-pip-version-check --no-input "$package"
printf '%s\n' "$programs" >>"$GITHUB_PATH"
"$programs/kling" --version
