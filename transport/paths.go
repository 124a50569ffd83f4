package transport

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

// resolver turns the names of rsync's complaints into paths of the batch.
type resolver struct {
	root *os.File
	// cwd is the root as rsync's sender names it.
	cwd   string
	dest  Dest
	form  scheduler.Form
	items []scheduler.Item
	index map[string]bool
}

func newResolver(root *os.File, cwd string, d Dest, b scheduler.Batch) *resolver {
	r := &resolver{root: root, cwd: cwd, dest: d, form: b.Form, items: b.Items, index: make(map[string]bool, len(b.Items))}
	for _, it := range b.Items {
		r.index[it.Path] = true
	}
	return r
}

// failed lists what the complaints are about, each path once, sorted. A path
// that blocked what is below it takes the items there along.
func (r *resolver) failed(complaints []complaint) []scheduler.PathError {
	seen := make(map[string]int)
	var out []scheduler.PathError
	add := func(path string, c complaint) {
		if i, ok := seen[path]; ok {
			out[i].Vanished = out[i].Vanished || c.vanished
			return
		}
		seen[path] = len(out)
		out = append(out, scheduler.PathError{Path: path, Message: c.line, Vanished: c.vanished})
	}
	for _, c := range complaints {
		path := r.path(c)
		add(path, c)
		if !c.blocks || path == "" {
			continue
		}
		for _, it := range r.items[r.below(path):] {
			if !strings.HasPrefix(it.Path, path+"/") {
				break
			}
			add(it.Path, c)
		}
	}
	slices.SortFunc(out, func(a, b scheduler.PathError) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// path maps one complaint's name to a path relative to the root. Old rsyncs do
// not say which side complains; then the source is tried first, which is no
// guess for a destination elsewhere in the tree or on another machine, but
// for one that has the source's path as its prefix the longer one counts.
func (r *resolver) path(c complaint) string {
	if c.relative {
		return r.untemp(clean(c.name), c.temp)
	}
	root := r.dest.Path
	if r.dest.Kind == Daemon {
		root = "/" + root
	}
	fromSource, inSource := cutRoot(c.name, r.cwd)
	fromDest, inDest := cutRoot(c.name, root)
	switch {
	case c.source && inSource:
		return clean(fromSource)
	case c.source:
		return clean(c.name)
	case !c.far && inSource && (!inDest || len(r.cwd) >= len(root)):
		return r.untemp(clean(fromSource), c.temp)
	case inDest && root != "/":
		return r.untemp(clean(fromDest), c.temp)
	case r.dest.Kind == Daemon && (root == "/" || !strings.HasPrefix(c.name, "/")):
		return r.untemp(clean(c.name), c.temp)
	}
	return r.suffix(clean(c.name), c.temp)
}

// suffix finds the longest end of a far name that the batch lists, else the
// longest that the source has, else gives the name as it is.
func (r *resolver) suffix(name string, temp bool) string {
	for _, known := range []func(string) bool{r.listed, r.exists} {
		for s, more := name, true; more; _, s, more = strings.Cut(s, "/") {
			if p := r.untemp(s, temp); known(p) {
				return p
			}
		}
	}
	return r.untemp(name, temp)
}

// listed reports whether path is an item or a parent of one.
func (r *resolver) listed(path string) bool {
	if path == "" || r.index[path] {
		return path != ""
	}
	first := r.below(path)
	return first < len(r.items) && strings.HasPrefix(r.items[first].Path, path+"/")
}

// below is the index of the first item below path, if there is one.
func (r *resolver) below(path string) int {
	i, _ := slices.BinarySearchFunc(r.items, path+"/", func(it scheduler.Item, p string) int { return strings.Compare(it.Path, p) })
	return i
}

func (r *resolver) exists(path string) bool {
	var st unix.Stat_t
	return path != "" && r.root != nil && unix.Fstatat(int(r.root.Fd()), path, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// tempName is how rsync names the file it receives into: a dot, the name
// without its own leading dot, and six characters.
var tempName = regexp.MustCompile(`(?s)^\.(.*)\.[A-Za-z0-9]{6}$`)

// nameMax is the longest file name; a temporary name is cut to fit into it.
const nameMax = 255

// untemp undoes a temporary name, if that names anything.
func (r *resolver) untemp(path string, temp bool) string {
	if !temp {
		return path
	}
	dir, base := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, base = path[:i+1], path[i+1:]
	}
	m := tempName.FindStringSubmatch(base)
	if m == nil {
		return path
	}
	candidates := []string{path, dir + m[1], dir + "." + m[1]}
	for _, known := range []func(string) bool{r.listed, r.exists} {
		for _, p := range candidates {
			if known(p) {
				return p
			}
		}
	}
	if len(base) >= nameMax-len(".XXXXXX") {
		for _, it := range r.items {
			if strings.HasPrefix(it.Path, dir+m[1]) || strings.HasPrefix(it.Path, dir+"."+m[1]) {
				return it.Path
			}
		}
	}
	return dir + m[1]
}

// cutRoot strips a root from a name at a component's border.
func cutRoot(name, root string) (string, bool) {
	root = strings.TrimRight(root, "/")
	rest, ok := strings.CutPrefix(name, root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return rest, true
}

// clean strips what rsync puts around a relative path: "/", "./" and "/.".
func clean(path string) string {
	for {
		p := strings.Trim(path, "/")
		p = strings.TrimPrefix(p, "./")
		p = strings.TrimSuffix(p, "/.")
		if p == "." {
			p = ""
		}
		if p == path {
			return p
		}
		path = p
	}
}
