package main

import (
	"strings"
	"testing"

	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/scheduler"
)

func TestStatusShowsLimits(t *testing.T) {
	st := engine.Status{Rsyncs: 3, MaxRsyncs: 8, Roots: []engine.RootStatus{{
		Path: "/srv", Remotes: []scheduler.Status{
			{Name: "a", State: scheduler.Live, Limits: map[string]string{"nice": "5", "bwlimit": "10m"}},
			{Name: "b", State: scheduler.Live},
		},
	}}}
	var out strings.Builder
	if err := printStatus(&out, []daemonStatus{{Status: st}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 of at most 8 rsyncs\n", "  limits of \"a\": bwlimit 10m, nice 5\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "limits of \"b\"") {
		t.Errorf("limits without any:\n%s", out.String())
	}
}
