package transport

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOptions(t *testing.T) {
	got, err := ParseOptions([]string{"-azue", "ssh -p 1", "--delete", "--bwlimit", "5", "--chmod=F600", "-B9"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Option{
		{Name: "archive", Words: []string{"-a"}, Implied: true},
		{Name: "z", Words: []string{"-z"}},
		{Name: "update", Words: []string{"-u"}},
		{Name: "rsh", Value: "ssh -p 1", HasValue: true, Words: []string{"-e", "ssh -p 1"}, Refused: whyShell},
		{Name: "delete", Words: []string{"--delete"}, Refused: whyDelete},
		{Name: "bwlimit", Value: "5", HasValue: true, Words: []string{"--bwlimit", "5"}},
		{Name: "chmod", Value: "F600", HasValue: true, Words: []string{"--chmod=F600"}},
		{Name: "B", Value: "9", HasValue: true, Words: []string{"-B", "9"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range [][]string{{"x"}, {"--bwlimit"}, {"-e"}, {"-"}, {"--"}, {"-\x00"}} {
		if _, err := ParseOptions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
