# shellcheck shell=bash
# Which Go builds fansync. Sourced by scripts/go and scripts/setup.

# What version is needed stands in go.mod alone.
go_needed=$(sed -n 's/^go //p' "$(dirname "${BASH_SOURCE[0]}")/../go.mod")
# Where setup puts that version if the system has none; ~ is known without HOME.
go_ours=${XDG_CACHE_HOME:-~/.cache}/fansync/go$go_needed

# all_go prints the paths where a Go may be, one on a line: those in PATH, where
# go.dev's archive and Debian put it, and ours.
all_go() {
	type -aP go || true
	printf '%s\n' /usr/local/go/bin/go /usr/lib/go/bin/go "$go_ours/bin/go"
}

# find_go prints the first that can build fansync; it fails if there is none.
find_go() {
	local go
	while IFS= read -r go; do
		if usable "$go"; then
			echo "$go"
			return
		fi
	done < <(all_go)
	return 1
}

# usable GO: can it build this module, by itself or by switching to a newer one?
# Each from 1.21 on switches, unless GOTOOLCHAIN forbids it.
usable() {
	local v
	# Outside the module, so that no newer version is fetched just to ask.
	v=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return
	[[ $v =~ ^go(1\.[0-9][0-9a-z.]*) ]] || return
	v=${BASH_REMATCH[1]}
	at_least "$go_needed" "$v" && return
	at_least 1.21 "$v" && [[ $(cd / && "$1" env GOTOOLCHAIN 2>/dev/null) == *auto ]]
}

# at_least A B: is version B at least A? 1.26rc1 is less than 1.26.0.
at_least() { printf '%s\n%s\n' "$1" "$2" | sort -VC; }
