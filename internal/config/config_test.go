package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"
)

var sameConfig = cmpopts.IgnoreUnexported(Config{})

// full is what testdata/full.toml says.
var full = Config{
	LogFormat: "json",
	LogLevel:  "debug",
	Socket:    "/run/fansync/other.sock",
	Grace:     Duration(90 * time.Second),
	MaxRsyncs: 12,
	FailLog:   "/var/log/fansync/failed.sh",

	FailLogEvery: Duration(30 * time.Minute),
	Plugins: []Plugin{{
		Name: "purge", Type: "cdn", Path: "/srv/www/site", Include: []string{`.*\.html`}, EachRemote: true,
		Queue: 50, Parallel: 2, Timeout: Duration(5 * time.Second), Address: "cdn.example.com:80",
		User: "u", Password: "p", Base: "http://www.example.com", Match: "site([a-z]*)", Retries: 1,
	}, {
		Type: "command", Command: []string{"/bin/true", "{}", "x"}, IgnoreError: true,
	}, {
		Type: "socket", Address: "[::1]:8009", Format: "path",
	}, {
		Type: "http", URL: "https://example.com/hook", TokenFile: "/etc/fansync/token", HMACFile: "/etc/fansync/key", Batch: 10,
	}, {
		Name: "second cdn", Type: "cdn", Address: "cdn.example.com:80", PasswordFile: "/etc/fansync/cdn", Base: "http://www.example.com",
	}},
	Roots: []Root{{
		Path:         "/srv/www",
		Backend:      "inotify",
		Modify:       "off",
		HiddenWrites: "ignore",
		Filters:      []string{"+ /keep/", "- *.tmp", "-  leading blank"},
		Exclude:      []string{"*.bak", "/cache/"},
		ExcludeRegex: []string{`(.*)\.old`, `\d+`},
		Delete:       "listed",
		FullEvery:    Duration(10 * time.Hour),
		FullExclude:  []string{"*.php"},
		Guard:        Guard{MaxDeleteShare: 0.25, MaxDeleteFiles: 50},
		Remotes: []Remote{{
			Name:         "web1",
			Dest:         "backup@web1::www/site",
			PasswordFile: "/etc/fansync/web1.pass",
			RsyncOptions: []string{"--omit-dir-times"},
			MaxDirty:     20000,
			Standbys:     new(0),
			Shards:       3,
			BWLimit:      "10m",
			Nice:         10,
			IONice:       "idle",
			Compress:     "zstd",
			Timeout:      Duration(2 * time.Minute),
			Parallel:     3,
		}, {
			Name: "web2",
			Dest: "backup@web2:/srv/www",
			SSH:  "ssh -p 2222",
		}},
	}, {
		Path:    "/srv/files",
		Remotes: []Remote{{Dest: "/mnt/copy"}},
	}},
}

func TestLoadFull(t *testing.T) {
	got, err := Load("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got, sameConfig); diff != "" {
		t.Errorf("full.toml (-want +got):\n%s", diff)
	}
	if err := got.Validate(nil); err != nil {
		t.Errorf("full.toml is not valid: %v", err)
	}
}

// TestFullSetsEveryKey fails when a key is added and full.toml is not.
func TestFullSetsEveryKey(t *testing.T) {
	data, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	src, wrong := locate("full.toml", data)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	set := map[string]bool{}
	for key := range src.pos {
		set[withoutIndexes(key)] = true
	}
	eachKey(reflect.TypeFor[Config](), "", func(key string, typ reflect.Type) {
		if !set[key] {
			t.Errorf("full.toml does not set %q", key)
		}
		if _, ok := textKeys[key]; ok != (typ == reflect.TypeFor[Duration]()) {
			t.Errorf("textKeys is wrong about %q of type %v", key, typ)
		}
	})
}

// eachKey visits every TOML key of a struct type.
func eachKey(typ reflect.Type, prefix string, visit func(key string, typ reflect.Type)) {
	for f := range typ.Fields() {
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		key := join(prefix, name)
		visit(key, f.Type)
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			eachKey(inner, key, visit)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for name, c := range map[string]Config{"as written": full, "with defaults": full.WithDefaults(), "zero": {}} {
		data, err := toml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode("round", data)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if diff := cmp.Diff(c, got, sameConfig); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	in := Config{Roots: []Root{{Path: "/srv//www/", Remotes: []Remote{{Dest: "a::b"}}}}}
	got := in.WithDefaults()
	want := Config{
		LogFormat: "text",
		LogLevel:  "info",
		Socket:    "/run/fansync/fansync.sock",
		Grace:     Duration(10 * time.Second),

		FailLogEvery: Duration(time.Hour),
		Roots: []Root{{
			Path:         "/srv/www",
			Backend:      "auto",
			Modify:       "on",
			HiddenWrites: "search",
			Delete:       "mirror",
			Guard:        Guard{MaxDeleteShare: 0.5, MaxDeleteFiles: 1000},
			Remotes:      []Remote{{Name: "a::b", Dest: "a::b", MaxDirty: 500_000, Standbys: new(2), Compress: "off", Timeout: Duration(time.Minute), Parallel: 2}},
		}},
	}
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if in.Roots[0].Path != "/srv//www/" || in.Roots[0].Remotes[0].Name != "" {
		t.Error("WithDefaults changed its receiver")
	}
	if diff := cmp.Diff(got, got.WithDefaults(), sameConfig); diff != "" {
		t.Errorf("defaults of defaults:\n%s", diff)
	}
	kept := full.WithDefaults()
	if kept.Grace != full.Grace || kept.Roots[0].Guard != full.Roots[0].Guard || kept.Roots[0].Remotes[0].Name != "web1" {
		t.Error("a default replaced a value that was given")
	}
}

func TestFilter(t *testing.T) {
	f, veto, err := full.Roots[0].Filter()
	if err != nil {
		t.Fatal(err)
	}
	if veto == nil || !veto("12", false) || veto("x", false) {
		t.Error("the expression that is no pattern is not asked")
	}
	want := []string{"- *.old", "+ /keep/", "- *.tmp", "-  leading blank", "- *.bak", "- /cache/"}
	if diff := cmp.Diff(want, f.Rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if f, veto, err := full.Roots[1].Filter(); err != nil || !f.Empty() || veto != nil {
		t.Errorf("filter without rules: %v, %v", f, err)
	}
	if f, err := full.Roots[0].FullFilter(); err != nil || cmp.Diff([]string{"- *.php"}, f.Rules()) != "" {
		t.Errorf("full_exclude: %v, %v", f.Rules(), err)
	}
}

func TestLevel(t *testing.T) {
	for word, want := range map[string]slog.Level{"debug": slog.LevelDebug, "": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		if got := (Config{LogLevel: word}).Level(); got != want {
			t.Errorf("level %q is %v", word, got)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	_, err := Load(missing)
	if err == nil || !strings.Contains(err.Error(), missing) || !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("missing file: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func TestDuration(t *testing.T) {
	var d Duration
	for _, bad := range []string{"", "10", "ten", "10 s", "1d"} {
		if d.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := d.UnmarshalText([]byte("-1m30s")); err != nil || d != Duration(-90*time.Second) || d.String() != "-1m30s" {
		t.Errorf("-1m30s: %v, %v", d, err)
	}
}
