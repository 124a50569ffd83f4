package sersync

// flag is one of the kinds of events that sersync listens to.
type flag struct {
	name    string
	shipped bool
	// off is what is said when it is off and fansync does it all the same; ""
	// if nothing is to be said, as with what is off in the shipped file.
	off string
}

const mirrored = "it is off, but fansync looks at what is there and not at how it came there: "

var flags = []flag{
	{"delete", true, ""},
	{"createFolder", true, mirrored + "new directories are mirrored and watched"},
	{"createFile", false, ""},
	{"closeWrite", true, mirrored + "what is written is mirrored"},
	{"moveFrom", true, ""},
	{"moveTo", true, mirrored + "what is moved in is mirrored"},
	{"attrib", false, ""},
	{"modify", false, ""},
}

// inotify reads the eight flags. It tells whether removals are to be mirrored.
func (m *mapping) inotify(e *element) (deletes bool) {
	deletes = true
	for _, f := range flags {
		c := e.child(lower(f.name))
		switch {
		case c.on(f.shipped):
		case f.name == "delete":
			deletes = false
			m.notes.add(c, f.name, `it is off: nothing is ever deleted at the remotes (delete = "off"), neither by moves nor by -r and crontab, which sersync let delete all the same`)
		case f.name == "moveFrom":
			deletes = false
			m.notes.add(c, f.name, `it is off: what is moved away is kept at the remotes; when fansync compares it cannot tell that from a deletion, so nothing is deleted at all (delete = "off")`)
		case f.off != "":
			m.notes.add(c, f.name, "%s", f.off)
		}
	}
	return deletes
}
