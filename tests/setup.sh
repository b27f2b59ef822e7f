# SPDX-License-Identifier: BSD-2-Clause
# SPDX-FileCopyrightText: 2026 the isthmus authors
# Sourced by tests/run and bench/run: installs missing Debian packages, quiet when there is nothing to install.
#   need_packages PACKAGE...          fails with a message when one cannot be installed
#   want_packages PACKAGE...          the same, but a package that cannot be had is only mentioned

_is_installed() {
	[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

_as_root() {
	if [ "$(id -u)" = 0 ]; then
		DEBIAN_FRONTEND=noninteractive "$@"
	elif command -v sudo >/dev/null; then
		sudo DEBIAN_FRONTEND=noninteractive "$@"
	else
		echo "must install packages, but this is neither root nor is there sudo; run as root: $*" >&2
		return 1
	fi
}

_install() {
	local log
	log=$(mktemp)
	echo "installing:$(printf ' %s' "$@")" >&2
	if ! _as_root apt-get update -qq >"$log" 2>&1 ||
		! _as_root apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

_missing() {
	local package
	for package in "$@"; do
		_is_installed "$package" || echo "$package"
	done
}

need_packages() {
	local missing
	mapfile -t missing < <(_missing "$@")
	[ ${#missing[@]} -eq 0 ] || _install "${missing[@]}" || {
		echo "cannot go on without: ${missing[*]}" >&2
		return 1
	}
}

want_packages() {
	local missing
	mapfile -t missing < <(_missing "$@")
	[ ${#missing[@]} -eq 0 ] || _install "${missing[@]}" ||
		echo "going on without: ${missing[*]}" >&2
}
