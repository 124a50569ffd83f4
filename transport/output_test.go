package transport

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/fansync/fansync/scheduler"
)

func TestEachLine(t *testing.T) {
	long := strings.Repeat("x", maxLine+100)
	in := "a\n\nb\rc\r\nd" + long + "\nlast"
	want := []string{"a", "", "b", "c", "", "d" + long[:maxLine-1], "last"}
	for name, r := range map[string]*strings.Reader{"whole": strings.NewReader(in), "bytewise": strings.NewReader(in)} {
		var got []string
		add := func(line []byte) { got = append(got, string(line)) }
		if name == "bytewise" {
			eachLine(iotest.OneByteReader(r), add)
		} else {
			eachLine(iotest.DataErrReader(r), add)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d lines, want %d", name, len(got), len(want))
		}
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	var b bytes.Buffer
	for i := range 3 * maxComplaints {
		fmt.Fprintf(&b, "rsync: [sender] send_files failed to open \"/src/%d\": Permission denied (13)\n", i)
		fmt.Fprintf(&b, "chatter %d\n", i)
	}
	var tr transcript
	tr.read(&b)
	if len(tr.complaints) != maxComplaints || tr.nameless != 2*maxComplaints {
		t.Errorf("%d complaints and %d without a name", len(tr.complaints), tr.nameless)
	}
	lines := tr.lines()
	if len(lines) != maxHead+maxTail || lines[len(lines)-1] != fmt.Sprintf("chatter %d", 3*maxComplaints-1) {
		t.Errorf("%d lines are kept, the last is %q", len(lines), lines[len(lines)-1])
	}
	o := outcome{code: codePartial, out: &transcript{}, err: &tr}
	if res := o.result(Dest{}, newResolver(nil, "/src", Dest{}, scheduler.Batch{})); res.Class != scheduler.Partial || res.Failed != nil {
		t.Errorf("with too many names the result is %v with %d names", res.Class, len(res.Failed))
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"plain":          "plain",
		`a\#012b`:        "a\nb",
		`a\#377\#134#01`: "a\xff\\#01",
		`a\#400 \#12 \#`: `a\#400 \#12 \#`,
		`back\nslash`:    `back\nslash`,
		`\#134#012`:      `\#012`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseProgress(t *testing.T) {
	for line, want := range map[string]scheduler.Progress{
		"         32,768   0%    0.00kB/s    0:00:00  ":                                           {Bytes: 32768},
		"     21,069,824  70%   19.55MB/s    0:00:00  ":                                           {Bytes: 21069824, Percent: 70, Rate: 20499660},
		"     30,000,004  99%   19.87MB/s    0:00:01 (xfr#2, ir-chk=1024/1327)":                   {Bytes: 30000004, Percent: 99, Rate: 20835205, Files: 2, Checked: 303, Total: 1327},
		"         22,380 100%  169.39kB/s    0:00:00 (xfr#4000, to-chk=0/4081)":                   {Bytes: 22380, Percent: 100, Rate: 173455, Files: 4000, Checked: 4081, Total: 4081},
		"  1,234,567,890   5%    1.00GB/s  123:45:59 (xfr#1,234, to-chk=1,000/2,000)":             {Bytes: 1234567890, Percent: 5, Rate: 1 << 30, Files: 1234, Checked: 1000, Total: 2000},
		"              0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=0/1)":                         {Checked: 1, Total: 1},
		"     30000000  99%   19.87MB/s    0:00:01 (xfr#1, ir-chk=1305/1307)":                     {Bytes: 30000000, Percent: 99, Rate: 20835205, Files: 1, Checked: 2, Total: 1307},
		"             77  10%    0.00kB/s   ??:??:?? ":                                            {Bytes: 77, Percent: 10},
		"99,999,999,999,999,999,999 100%  1.00kB/s    0:00:00 (xfr#1, to-chk=0/9999999999999999)": {Percent: 100, Rate: 1024, Files: 1, Checked: 9999999999999999, Total: 9999999999999999},
	} {
		var got scheduler.Progress
		if !parseProgress(line, &got) || got != want {
			t.Errorf("parseProgress(%q) = %+v, want %+v", line, got, want)
		}
	}
	for _, line := range []string{"", "Number of files: 4,081 (reg: 4,000, dir: 81)", "sent 251,497 bytes  received 76,379 bytes  655,752.00 bytes/sec", "a 12% file"} {
		if parseProgress(line, &scheduler.Progress{}) {
			t.Errorf("%q is taken for progress", line)
		}
	}
}

// TestProgressCapture reads a real run's output, file list still growing at
// the start.
func TestProgressCapture(t *testing.T) {
	raw, err := os.ReadFile("testdata/progress2.raw")
	if err != nil {
		t.Fatal(err)
	}
	var last scheduler.Progress
	calls := 0
	out := stdout{progress: func(p scheduler.Progress) {
		calls++
		if p.Checked < last.Checked || p.Bytes < last.Bytes || p.Checked > p.Total {
			t.Errorf("%+v comes after %+v", p, last)
		}
		last = p
	}}
	out.read(bytes.NewReader(raw))
	if last.Percent != 100 || last.Checked != last.Total || last.Files == 0 || calls == 0 {
		t.Errorf("%d calls, the last is %+v", calls, last)
	}
	if out.stats.Files != last.Total || out.stats.Transferred != last.Files || out.stats.Bytes != last.Bytes || out.stats.Wire == 0 {
		t.Errorf("stats are %+v after %+v", out.stats, last)
	}
}
