package watcher

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What was made after a directory was opened, and before it was watched, is in
// no record: the listing must have it. That of btrfs does not by itself.
func TestListHasWhatCameSinceOpen(t *testing.T) {
	eachInotifyPlace(t, func(t *testing.T, root string) {
		mkdir(t, root+"/d/was")
		fd, err := openDir(root + "/d")
		ok(t, err)
		defer unix.Close(fd)
		write(t, root+"/d/file", "1")
		mkdir(t, root+"/d/dir")
		buf := make([]byte, direntBuffer)
		all, err := list(fd, buf, false, nil)
		ok(t, err)
		var names []string
		for _, e := range all {
			names = append(names, e.name)
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"dir", "file", "was"}) {
			t.Errorf("listed %q", names)
		}
		dirs, err := listDirs(fd, buf, nil)
		ok(t, err)
		if s := string(dirs); s != "\x03dir\x03was" && s != "\x03was\x03dir" {
			t.Errorf("directories %q", s)
		}
	})
}
