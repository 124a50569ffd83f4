package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string][3]int{
		"rsync  version 3.5.0  protocol version 32\nCopyright": {3, 5, 0},
		"rsync  version v3.2.3  protocol version 31\n":         {3, 2, 3},
		"rsync version 3.1  protocol version 31":               {3, 1, 0},
		"rsync  version 3.2.0pre1  protocol version 31":        {3, 2, 0},
		"rsync  version 3.2.7-1+deb12u6 protocol version 31":   {3, 2, 7},
		"warning: something\nrsync  version 4 protocol 40\n":   {4, 0, 0},
		"rsync  version 3.4.1+20250101  protocol version 32\r": {3, 4, 1},
	} {
		a, b, c, err := parseVersion(in)
		if err != nil || [3]int{a, b, c} != want {
			t.Errorf("parseVersion(%q) = %d.%d.%d, %v", in, a, b, c, err)
		}
	}
	for in, want := range map[string]string{
		"":                         "no version",
		"bash: rsync: not a thing": "no version",
		"rsync  version \n":        "no version",
		"rsync  version UNKNOWN":   "no number",
		"openrsync: protocol version 29\nrsync version compatible\n": "no number",
		"openrsync: protocol version 29\n":                           "openrsync",
		"rsync  version 99999999999999999999.1\n":                    "no number",
	} {
		if _, _, _, err := parseVersion(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseVersion(%q): error %v, want one with %q", in, err, want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for _, v := range [][3]int{{3, 1, 0}, {3, 1, 3}, {3, 5, 0}, {4, 0, 0}} {
		if err := checkVersion(v); err != nil {
			t.Errorf("checkVersion(%v): %v", v, err)
		}
	}
	for _, v := range [][3]int{{2, 6, 9}, {3, 0, 9}, {0, 0, 0}} {
		if err := checkVersion(v); err == nil || !strings.Contains(err.Error(), "install rsync 3.1.0") {
			t.Errorf("checkVersion(%v): %v", v, err)
		}
	}
	old := filepath.Join(t.TempDir(), "rsync")
	writeScript(t, old, "echo 'rsync  version 3.0.6  protocol version 30'")
	if err := CheckVersion(t.Context(), old); err == nil || !strings.Contains(err.Error(), "3.0.6 is too old") {
		t.Errorf("CheckVersion of an old rsync: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := CheckVersion(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "apt-get install rsync") {
		t.Errorf("CheckVersion without rsync: %v", err)
	}
}

func TestCheckVersionHere(t *testing.T) {
	needRsync(t)
	if err := CheckVersion(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// writeScript makes a program that stands in for rsync.
func writeScript(t *testing.T, name, body string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
