package workload

import (
	"strconv"
	"strings"
	"testing"
)

// TestParams: what reports print at scale 1.
func TestParams(t *testing.T) {
	want := map[string]string{
		"latency":    "files=2000 rate=200/s bytes=1024",
		"burst":      "files=2000 dirs=20 bytes=1-4096 remotes=1",
		"churn":      "files=100 writes=3000 rate=1000/s bytes=1-16384",
		"saves":      "files=50 saves=500 rate=200/s bytes=1-8192",
		"delete":     "files=5000 dirs=50 bytes=512 kept=10000",
		"rename10k":  "files=10000 dirs=1 bytes=512 kept=11000",
		"rename100k": "files=100000 dirs=101 bytes=512 kept=110000",
		"rename1g":   "files=100000 dirs=1001 bytes=10240 kept=110000",
		"mkdirs":     "times=3000 depth=3 bytes=100",
		"bigfile":    "bytes=1073741824 piece=4194304",
		"appends":    "logs=20 lines=6000 rate=2000/s bytes=2-120",
		"samesecond": "files=200 rewrites=3 rounds=3 bytes=1000",
		"mix":        "ops=1000 rate=400/s files=200 dirs=25",
		"fan1":       "files=2000 dirs=20 bytes=1-4096 remotes=1",
		"fan4":       "files=2000 dirs=20 bytes=1-4096 remotes=4",
		"fan16":      "files=2000 dirs=20 bytes=1-4096 remotes=16",
		"slow":       "files=2000 dirs=20 bytes=1-4096 remotes=4 slow=1 kbs=64",
		"dead":       "files=2000 dirs=20 bytes=1-4096 remotes=4 dead=1",
		"idle100k":   "files=100000 dirs=1000 changes=20",
		"idle1m":     "files=1000000 dirs=10000 changes=20",
		"dirs100k":   "files=0 dirs=100000 changes=20",
	}
	for _, w := range All() {
		if w.Name() == "source" {
			continue // it tells of the machine
		}
		if got := w.Needs(Size{Seed: 1, Scale: 1}).Params; got != want[w.Name()] {
			t.Errorf("%s: %q, want %q", w.Name(), got, want[w.Name()])
		}
	}
}

// checkParams counts what Params tells of.
func checkParams(t *testing.T, w Workload, size Size, before, after tree) {
	t.Helper()
	// Where each workload has the files, directories or bytes that it tells of,
	// before or after its Run.
	type place struct {
		key    string
		before bool
		within string
	}
	places := map[string][]place{
		"latency":    {{"files", false, "arrivals/"}},
		"burst":      {{"files", false, "in/"}, {"dirs", false, "in/"}},
		"churn":      {{"files", true, "hot/"}, {"files", false, "hot/"}},
		"saves":      {{"files", true, "doc/"}},
		"delete":     {{"files", true, "old/"}, {"dirs", true, "old/"}, {"kept", true, "kept/"}, {"kept", false, ""}},
		"rename10k":  {{"files", true, "site/"}, {"dirs", true, "site"}, {"files", false, "moved/"}, {"kept", false, "kept/"}},
		"rename100k": {{"files", true, "site/"}, {"dirs", true, "site"}, {"files", false, "moved/"}, {"kept", false, "kept/"}},
		"rename1g":   {{"files", true, "site/"}, {"dirs", true, "site"}, {"files", false, "moved/"}, {"kept", false, "kept/"}},
		"mkdirs":     {{"times", false, "in/"}},
		"source":     {{"files", false, "projects/go/"}, {"dirs", false, "projects/go"}, {"bytes", false, ""}},
		"bigfile":    {{"bytes", false, ""}},
		"appends":    {{"logs", true, "log/"}},
		"mix":        {{"files", true, ""}, {"dirs", true, ""}},
		"idle100k":   {{"files", true, "tree/"}, {"dirs", true, "tree/"}},
		"idle1m":     {{"files", true, "tree/"}, {"dirs", true, "tree/"}},
		"dirs100k":   {{"files", true, "tree/"}, {"dirs", true, "tree/"}, {"changes", false, "tree/"}},
	}
	told := map[string]string{}
	for pair := range strings.FieldsSeq(w.Needs(size).Params) {
		key, value, _ := strings.Cut(pair, "=")
		told[key] = value
	}
	for _, p := range places[w.Name()] {
		in := after
		if p.before {
			in = before
		}
		dirs, files, bytes := 0, 0, int64(0)
		for path, f := range in {
			switch {
			case !strings.HasPrefix(path, p.within):
			case f.mode.IsDir():
				dirs++
			default:
				files++
				bytes += f.size
			}
		}
		got := strconv.Itoa(files)
		switch p.key {
		case "dirs":
			got = strconv.Itoa(dirs)
		case "bytes":
			got = strconv.FormatInt(bytes, 10)
		}
		if got != told[p.key] {
			t.Errorf("below %q there are %s %s, not %s", p.within, got, p.key, told[p.key])
		}
	}
}
