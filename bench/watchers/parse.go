package watchers

import (
	"bytes"
	"encoding/json"
	"strings"
)

// kind is what a line of a watcher's output is.
type kind int

const (
	other    kind = iota // nothing of the tree: perhaps why it ends
	noise                // nothing at all
	ready                // from now on all changes are told
	changed              // path was changed
	lost                 // events were lost, and nobody knows which
	rescan               // events were lost: look at path and all below it
	inside               // look at path and all below it
	children             // look at the entries of path too
)

// said is a line of a watcher's output.
type said struct {
	kind kind
	path string // relative to the tree; "" is the tree
}

// below is path relative to root; ok is false if it lies elsewhere.
func below(root, path string) (rel string, ok bool) {
	rest, ok := strings.CutPrefix(path, root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.Trim(rest, "/"), true
}

// at is a change of path, if that lies below root.
func at(root, path string, k kind) said {
	rel, ok := below(root, path)
	if !ok {
		return said{}
	}
	return said{k, rel}
}

// parseFansync reads the JSON of `fansync watch`, whose members have an order. A
// decoder would be slower than some of those who write.
func parseFansync(root string, line []byte) said {
	switch kind := member(line, "type"); string(kind) {
	case `"ready"`:
		return said{kind: ready}
	case `"change"`, `"rescan"`:
		var path string
		if err := json.Unmarshal(member(line, "path"), &path); err != nil {
			return said{} // the names of this package are plain
		}
		_, list, _ := bytes.Cut(line, []byte(`"kinds":[`))
		list, _, _ = bytes.Cut(list, []byte("]"))
		switch {
		case string(kind) == `"rescan"`:
			return at(root, path, rescan)
		case bytes.Contains(list, []byte(`"subtree"`)):
			return at(root, path, inside)
		case bytes.Contains(list, []byte(`"children"`)):
			return at(root, path, children)
		}
		return at(root, path, changed)
	}
	return said{}
}

// member is the string of the first member with that name, in its quotes.
func member(line []byte, name string) []byte {
	_, rest, ok := bytes.Cut(line, []byte(`"`+name+`":"`))
	if !ok {
		return nil
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return append([]byte{'"'}, rest[:i+1]...)
		}
	}
	return nil
}

// parseTools reads the lines "DIR/ EVENTS NAME" of inotifywait and fsnotifywait;
// NAME is empty if it is the directory itself.
func parseTools(root string, line []byte) said {
	s := strings.TrimSuffix(string(line), " (deleted)")
	switch {
	case strings.HasPrefix(s, "Watches established"):
		return said{kind: ready}
	case strings.HasPrefix(s, "[fid="):
		return said{kind: noise}
	case strings.Contains(s, "Q_OVERFLOW"):
		return said{kind: lost}
	case !strings.HasPrefix(s, root):
		return said{}
	}
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return said{}
	}
	j := strings.LastIndexByte(s[:i], ' ')
	if j < 0 {
		return said{}
	}
	return at(root, s[:j]+s[i+1:], changed)
}

// parseFatrace reads "COMMAND(PID): TYPES PATH".
func parseFatrace(root string, line []byte) said {
	_, rest, ok := strings.Cut(string(line), "): ")
	if !ok {
		return said{}
	}
	_, path, _ := strings.Cut(rest, " ")
	return at(root, strings.TrimLeft(path, " "), changed)
}

// The words that begin the lines of this package's own readers.
const (
	wordReady  = "ready"
	wordLost   = "lost"
	wordChange = "change"
)

// parseReader reads the lines "WORD PATH" of Helper.
func parseReader(root string, line []byte) said {
	word, path, _ := strings.Cut(string(line), " ")
	switch word {
	case wordReady:
		return said{kind: ready}
	case wordLost:
		return said{kind: lost}
	case wordChange:
		return at(root, path, changed)
	}
	return said{}
}
