# The folk recipe: after any event, rsync everything.
# Arguments: the source, then the destinations, served one after the other.
src=$1
shift
inotifywait -m -r -q --format '%w%f' -e close_write,create,delete,move,attrib "$src" |
	while read -r; do
		# Drain what is queued, so that one rsync serves many events. What comes
		# from now on makes another round.
		while read -r -t 0 && read -r; do :; done
		for dest; do
			rsync -a --delete "$src/" "$dest"
		done
	done
