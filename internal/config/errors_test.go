package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestErrors reads testdata/errors/NAME.toml and expects NAME.txt.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Decode(filepath.Base(file), data)
			if err == nil {
				err = c.Validate(refuse)
			}
			if err == nil {
				t.Fatal("no error")
			}
			golden := strings.TrimSuffix(file, ".toml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, rerr := os.ReadFile(golden)
			if rerr != nil {
				t.Fatal(rerr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// refuse is a Checker that does not like one destination.
func refuse(_ Root, r Remote) error {
	if r.Dest == "refused" {
		return errors.New(`dest "refused" is refused; choose another`)
	}
	return nil
}

func TestValidateWithoutFile(t *testing.T) {
	err := Config{Roots: []Root{{Path: "www"}}}.Validate(nil)
	want := `root "www" is relative; write its whole path
root "www" has no remote; add a [[root.remote]] table with dest`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	if err := full.Validate(nil); err != nil {
		t.Error(err)
	}
	if err := (Config{Socket: "/" + strings.Repeat("s", 107), Roots: full.Roots}).Validate(nil); err == nil {
		t.Error("a socket too long for its address is taken")
	}
}

func TestCheckerSeesDefaults(t *testing.T) {
	var names, backends []string
	err := full.Validate(func(root Root, r Remote) error {
		names = append(names, r.Name)
		backends = append(backends, root.Backend)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"web1", "web2", "/mnt/copy"}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"inotify", "inotify", "auto"}, backends); diff != "" {
		t.Error(diff)
	}
}

// FuzzDecode holds Decode to an answer, whatever the bytes.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/full.toml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("root = [[{a=1}], 2]\n[[root.x]]\n[root]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode("f", data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("line without its place: %q", line)
				}
			}
			return
		}
		if err := c.Validate(nil); err != nil && err.Error() == "" {
			t.Error("empty error")
		}
	})
}
