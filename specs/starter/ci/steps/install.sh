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
# Isolated (-I), since a folder "pip" or "venv" in the pull request would else be run; what pip starts in its turn is not.
unset PYTHONPATH
"$python" -I -m venv --clear --without-pip "$place"
programs="$place/bin"
[[ -d $programs ]] || programs="$place/Scripts"
# The pip of that Python, which is there, installs into the environment as well; unpacking another takes seconds.
pip=("$python" -I -m pip --python "$programs/python")
if ! "${pip[@]}" --version >/dev/null 2>&1; then
  "$programs/python" -I -m ensurepip >/dev/null
  pip=("$programs/python" -I -m pip)
fi
"${pip[@]}" install --quiet --disable-pip-version-check --no-input "$package"
printf '%s\n' "$programs" >>"$GITHUB_PATH"
"$programs/kling" --version
