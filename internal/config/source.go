package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// source knows where each key of a file stands. Keys are written as
// "root[0].remote[1].dest", elements of lists as "root[0].filters[2]".
type source struct {
	name string
	pos  map[string]unstable.Position
}

// tableLists are the keys that hold lists of tables.
var tableLists = []string{"root", "root.remote", "plugin"}

// textKeys are the keys whose values are written as strings but kept as
// numbers, with what they want. The decoder would take a bare 10 for ten of
// the smallest unit.
var textKeys = map[string]string{"grace": wantDuration, "fail_log_every": wantDuration, "plugin.timeout": wantDuration, "root.full_every": wantDuration, "root.remote.timeout": wantDuration}

// locator walks over a document in its written order.
type locator struct {
	source
	parser unstable.Parser
	// counts is how many tables each list of tables has had so far.
	counts map[string]int
	// wrong are the mistakes the decoder does not see.
	wrong []error
}

// locate finds every key of the document, as far as its syntax is right, and
// the mistakes of form that the decoder lets pass.
func locate(name string, data []byte) (*source, []error) {
	l := locator{
		source: source{name: name, pos: map[string]unstable.Position{}},
		counts: map[string]int{},
	}
	l.parser.Reset(data)
	table := ""
	for l.parser.NextExpression() {
		switch e := l.parser.Expression(); e.Kind {
		case unstable.Table:
			table = l.enter("", e.Key(), false)
		case unstable.ArrayTable:
			table = l.enter("", e.Key(), true)
		case unstable.KeyValue:
			l.pair(table, e)
		}
	}
	return &l.source, l.wrong
}

// enter resolves a dotted key that starts in table and notes its place; list
// says that it opens one more table of a list.
func (l *locator) enter(table string, key unstable.Iterator, list bool) string {
	for key.Next() {
		n := key.Node()
		table = join(table, string(n.Data))
		pos := l.parser.Shape(n.Raw).Start
		count := l.counts[table]
		if !key.IsLast() {
			if count > 0 {
				table = element(table, count-1)
			}
			continue
		}
		if list {
			l.counts[table]++
			table = element(table, count)
		} else if plain := withoutIndexes(table); slices.Contains(tableLists, plain) {
			l.wrong = append(l.wrong, l.problem(pos, fmt.Sprintf("[%s] is one of a list; write [[%s]]", plain, plain)))
		}
		l.pos[table] = pos
	}
	return table
}

// pair notes a key with its value.
func (l *locator) pair(table string, e *unstable.Node) {
	var key string
	var pos unstable.Position
	for it := e.Key(); it.Next(); {
		table = join(table, string(it.Node().Data))
		key, pos = table, l.parser.Shape(it.Node().Raw).Start
		l.pos[key] = pos
	}
	if want, ok := textKeys[withoutIndexes(key)]; ok && isNumber(e.Value().Kind) {
		l.wrong = append(l.wrong, l.problem(pos, fmt.Sprintf("key %q: wants %s, in quotes", withoutIndexes(key), want)))
	}
	l.value(key, e.Value())
}

func isNumber(k unstable.Kind) bool {
	return k == unstable.Integer || k == unstable.Float || k == unstable.Bool
}

// value notes what stands in lists and inline tables.
func (l *locator) value(key string, v *unstable.Node) {
	switch v.Kind {
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			n := it.Node()
			if n.Kind != unstable.InlineTable && n.Kind != unstable.Array {
				l.pos[element(key, i)] = l.parser.Shape(n.Raw).Start
			}
			l.value(element(key, i), n)
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			l.pair(key, it.Node())
		}
	}
}

func (s *source) problem(pos unstable.Position, text string) error {
	return fmt.Errorf("%s:%d:%d: %s", s.name, pos.Line, pos.Column, text)
}

// where gives the text the place of the key, or of the nearest key around it
// that stands in the file.
func (s *source) where(key, text string) error {
	if s == nil {
		return fmt.Errorf("%s", text)
	}
	for key != "" {
		if pos, ok := s.pos[key]; ok {
			return s.problem(pos, text)
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return fmt.Errorf("%s: %s", s.name, text)
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

func element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// withoutIndexes is the key as the file has it: "root.remote.dest".
func withoutIndexes(key string) string {
	var b strings.Builder
	inside := false
	for _, c := range []byte(key) {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case !inside:
			b.WriteByte(c)
		}
	}
	return b.String()
}
