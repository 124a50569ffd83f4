package sersync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Note is one remark on the file: a setting that is ignored, is not known, was
// dangerous, or means something else now.
type Note struct {
	// Line is where it stands, 0 for what does not stand there.
	Line int
	// Element is what it is about, such as "auth" or "commonParams".
	Element string
	// Text says what is done about it and what to write today.
	Text string
}

// String is the note as check prints it, without the file's name.
func (n Note) String() string {
	if n.Line == 0 {
		return fmt.Sprintf("<%s>: %s", n.Element, n.Text)
	}
	return fmt.Sprintf("line %d: <%s>: %s", n.Line, n.Element, n.Text)
}

// places are the elements that are known, with their attributes. An element
// stands below the one before the last slash; "plugin" blocks below <head> have
// their own, by name.
var places = map[string]string{
	"head":                                       "version",
	"head/host":                                  "hostip port",
	"head/debug":                                 "start",
	"head/filesystem":                            "xfs",
	"head/filter":                                "start",
	"head/filter/exclude":                        "expression",
	"head/inotify":                               "",
	"head/sersync":                               "",
	"head/sersync/localpath":                     "watch",
	"head/sersync/localpath/remote":              "ip name",
	"head/sersync/rsync":                         "",
	"head/sersync/rsync/commonparams":            "params",
	"head/sersync/rsync/auth":                    "start users passwordfile",
	"head/sersync/rsync/userdefinedport":         "start port",
	"head/sersync/rsync/timeout":                 "start time",
	"head/sersync/rsync/ssh":                     "start",
	"head/sersync/faillog":                       "path timetoexecute",
	"head/sersync/crontab":                       "start schedule",
	"head/sersync/crontab/crontabfilter":         "start",
	"head/sersync/crontab/crontabfilter/exclude": "expression",
	"head/sersync/plugin":                        "start name",
	"head/plugin":                                "name",
	"head/plugin/param":                          "prefix suffix ignoreerror",
	"head/plugin/filter":                         "start",
	"head/plugin/filter/include":                 "expression",
	"head/plugin/localpath":                      "watch",
	"head/plugin/localpath/deshost":              "ip port",
	"head/plugin/localpath/cdninfo":              "domainname port username passwd",
	"head/plugin/localpath/sendurl":              "base",
	"head/plugin/localpath/regexurl":             "regex match",
	"head/plugin/localpath/http":                 "url tokenfile hmacfile",
}

// many are the elements of which there may be more than one.
var many = []string{"exclude", "include", "localpath", "remote", "plugin", "deshost"}

func init() {
	for _, f := range flags {
		places["head/inotify/"+strings.ToLower(f.name)] = "start"
	}
}

// spelling are names as the shipped file writes them.
var spelling = map[string]string{
	"filesystem": "fileSystem", "createfolder": "createFolder", "createfile": "createFile",
	"closewrite": "closeWrite", "movefrom": "moveFrom", "moveto": "moveTo", "commonparams": "commonParams",
	"userdefinedport": "userDefinedPort", "faillog": "failLog", "timetoexecute": "timeToExecute",
	"ignoreerror": "ignoreError", "refreshcdn": "refreshCDN",
}

func spelled(name string) string { return cmp.Or(spelling[name], name) }

// notes gathers what is to be said of a file.
type notes struct {
	list []Note
}

func (n *notes) add(e *element, name, format string, args ...any) {
	line := 0
	if e != nil {
		line = e.line
	}
	n.list = append(n.list, Note{Line: line, Element: name, Text: fmt.Sprintf(format, args...)})
}

// strangers notes the elements and attributes that mean nothing, and those that
// stand twice.
func (n *notes) strangers(e *element, path string) {
	known := strings.Fields(places[path])
	seen := map[string]bool{}
	for _, a := range e.attrs {
		switch {
		case seen[a.name]:
			n.add(e, spelled(e.name), "attribute %s stands there twice; the first one counts", spelled(a.name))
		case !slices.Contains(known, a.name):
			n.add(e, spelled(e.name), "attribute %q is not known and ignored; correct its name or remove it", a.name)
		}
		seen[a.name] = true
	}
	before := map[string]bool{}
	for _, c := range e.children {
		at := path + "/" + c.name
		if _, ok := places[at]; !ok {
			n.add(c, spelled(c.name), "it is not known in <%s> and ignored, with all that stands in it; correct its name or its place, or remove it", spelled(e.name))
			continue
		}
		if before[c.name] && !slices.Contains(many, c.name) {
			n.add(c, spelled(c.name), "it stands there twice; the first one counts")
			continue
		}
		before[c.name] = true
		if v, ok := c.get("start"); ok && v != "true" && v != "false" {
			n.add(c, spelled(c.name), "start=%q is not %q to the letter, so it counts as off, as in sersync", v, "true")
		}
		n.strangers(c, at)
	}
}
