package transport

import (
	"slices"
	"strings"
	"testing"
)

func TestOptionsPass(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		warn     []string
	}{
		{"", "", nil},
		{"-z --bwlimit=100 -H -A -X -S --numeric-ids --inplace", "-z --bwlimit=100 -H -A -X -S --numeric-ids --inplace", nil},
		{"--chmod=D755,F644 --chown=a:b --backup --backup-dir=/b", "--chmod=D755,F644 --chown=a:b --backup --backup-dir=/b", nil},
		{"-artuz", "-tuz", []string{"--update"}},
		{"-a -r --archive --recursive -s", "", nil},
		{"--bwlimit 100 -B 1000 -zB 900 -zT /tmp", "--bwlimit 100 -B 1000 -zB 900 -zT /tmp", nil},
		{"-zB900 -M--fake-super", "-zB900 -M--fake-super", nil},
		{"--no-owner --no-perms --no-W", "--no-owner --no-perms --no-W", nil},
		{"--modify-window=1", "--modify-window=1", []string{"--modify-window"}},
		{"-@1 -L", "-@1 -L", []string{"--modify-window", "--copy-links"}},
		{"--size-only --no-t", "--size-only --no-t", []string{"--size-only", "--no-times"}},
	} {
		pass, warnings, err := checkOptions(strings.Fields(tc.in))
		if err != nil || strings.Join(pass, " ") != tc.want {
			t.Errorf("checkOptions(%q) = %q, %v; want %q", tc.in, pass, err, tc.want)
		}
		ok := len(warnings) == len(tc.warn)
		for i := range warnings {
			ok = ok && strings.Contains(warnings[i], tc.warn[i]+":")
		}
		if !ok {
			t.Errorf("checkOptions(%q) warns %q, want %q", tc.in, warnings, tc.warn)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for in, want := range map[string]string{
		"--delete":                  whyDelete,
		"--delete-excluded":         whyDelete,
		"--no-delete":               "need it on",
		"--del":                     whyDelete,
		"--max-delete=5":            whyDelete,
		"--ignore-errors":           whyDelete,
		"--files-from=x":            whyList,
		"--exclude=x":               "--exclude",
		"--include x":               "--exclude",
		"--filter=x":                "--exclude",
		"-f x":                      "--exclude",
		"-zF":                       "--exclude",
		"-C":                        "--exclude",
		"--daemon":                  whyDaemon,
		"--dry-run":                 whyDry,
		"-n":                        whyDry,
		"-azn":                      whyDry,
		"-v":                        whyOutput,
		"-zP":                       whyOutput,
		"--out-format=x":            whyOutput,
		"--info=progress2":          whyOutput,
		"--stats":                   whyOutput,
		"-i":                        whyOutput,
		"--remove-source-files":     "never touches the source",
		"-e ssh":                    whyShell,
		"--rsh=ssh":                 whyShell,
		"--password-file=x":         whySecret,
		"--timeout=5":               whyTimeout,
		"-d":                        whyList,
		"--no-relative":             "need it on",
		"--no-implied-dirs":         "need it on",
		"--no-recursive":            "need it on",
		"--no-R":                    "need it on",
		"/etc":                      "does not start with a dash",
		"-z /etc":                   "does not start with a dash",
		"--bwlimit=5 /etc":          "does not start with a dash",
		"--":                        "does not start with a dash",
		"-":                         "does not start with a dash",
		"--bwlimit":                 "value is missing",
		"-B":                        "value is missing",
		"--iconv=utf8,latin1":       "names are bytes",
		"--only-write-batch=x":      whyDry,
		"--old-args":                whyList,
		"--compare-dest=/x":         whyTree,
		"--no-whole-file --server ": whyDaemon,
	} {
		if _, _, err := checkOptions(strings.Fields(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checkOptions(%q): error %v, want one with %q", in, err, want)
		}
	}
}

// FuzzOptions: whatever passes, nothing that is refused comes out of it.
func FuzzOptions(f *testing.F) {
	f.Add("-artuz", "--bwlimit")
	f.Add("-B", "--delete")
	f.Fuzz(func(t *testing.T, a, b string) {
		pass, _, err := checkOptions([]string{a, b})
		if err != nil {
			return
		}
		again, _, err := checkOptions(pass)
		if err != nil || !slices.Equal(again, pass) {
			t.Errorf("checkOptions(%q, %q) = %q, and of that %q, %v", a, b, pass, again, err)
		}
	})
}
