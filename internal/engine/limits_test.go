package engine

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fansync/fansync/internal/config"
)

// Limits hold, and the status tells them.
func TestLimits(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.MaxRsyncs = 1
	m.conf.Roots[0].Remotes[0] = config.Remote{
		Name: "far", Dest: m.daemon.URL("m", ""), BWLimit: "50m", Nice: 5, IONice: "best-effort:7", Compress: "on",
	}
	near := t.TempDir()
	m.conf.Roots[0].Remotes = append(m.conf.Roots[0].Remotes, config.Remote{Name: "near", Dest: near})
	write(t, filepath.Join(m.src, "text"), strings.Repeat("the same again ", 1<<16))
	e := m.start(t)
	e.flush(t)
	m.equal(t)
	st := e.Status()
	if st.MaxRsyncs != 1 || st.Rsyncs > 1 {
		t.Errorf("%d of %d rsyncs", st.Rsyncs, st.MaxRsyncs)
	}
	want := map[string]string{"bwlimit": "50m", "nice": "5", "ionice": "best-effort:7", "compress": "on"}
	if got := e.remote("far").Limits; !maps.Equal(got, want) {
		t.Errorf("limits: %v", got)
	}
	if n := e.remote("far").Counts.WireBytes; n > 1<<18 {
		t.Errorf("%d bytes were sent of text that compresses well", n)
	}
	if got := e.remote("near").Limits; len(got) > 0 {
		t.Errorf("limits of a remote without any: %v", got)
	}
}

func TestWrongLimitsAreNamed(t *testing.T) {
	conf := oneRemote(t.TempDir(), "h::m")
	conf.Roots[0].Remotes[0].BWLimit = "fast"
	if err := conf.Validate(CheckRemote); err == nil || !strings.Contains(err.Error(), `remote "far": bwlimit "fast" is not a rate`) {
		t.Error(err)
	}
}
