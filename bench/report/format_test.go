package report

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestShow(t *testing.T) {
	for _, c := range []struct {
		unit unit
		v    float64
		want string
	}{
		{seconds, 0, "0 ms"}, {seconds, 0.0004, "0.400 ms"}, {seconds, 0.01, "10 ms"}, {seconds, 0.1234, "123 ms"}, {seconds, 1, "1 s"},
		{seconds, 1.2345, "1.23 s"}, {seconds, 12.345, "12.3 s"}, {seconds, 1234.5, "1,234 s"}, {seconds, 59.999, "60.0 s"},
		{micros, 7, "7 µs"}, {micros, 1500, "1.50 ms"}, {micros, 2_500_000, "2.50 s"},
		{megabytes, 61.23, "61.2 MB"}, {megabytes, 24010, "24.0 GB"},
		{bytesOf, 12, "12 B"}, {bytesOf, 1234567, "1.23 MB"}, {bytesOf, 5e12, "5,000 GB"},
		{count, 0, "0"}, {count, 4, "4"}, {count, 4.5, "4.5"}, {count, 1234567, "1,234,567"},
		{share, 0.0123, "1.23 %"}, {share, 1.5, "150 %"},
	} {
		if got := c.unit.show(c.v); got != c.want {
			t.Errorf("unit %d of %v is %q, want %q", c.unit, c.v, got, c.want)
		}
	}
}

func TestFigureText(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   string
	}{
		"one":            {[]float64{1.5}, "1.50 s"},
		"spread":         {[]float64{0.9, 1.5, 2}, "1.50 s (0.900–2)"},
		"all the same":   {[]float64{2, 2, 2}, "2 s"},
		"too short":      {[]float64{0, 0.001, 0.002}, "< 10 ms"},
		"some too short": {[]float64{0, 0.02, 0.03}, "20 ms (<10–30)"},
		"mostly short":   {[]float64{0, 0, 0.03}, "< 10 ms (<10–30)"},
	} {
		if got := seconds.figure(summarise(c.values, tick)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRatioText(t *testing.T) {
	for _, c := range []struct {
		ratio ratio
		want  string
	}{
		{ratio{Reps: 3}, "0x"},
		{ratio{Value: 4.11, Lo: 3.8, Hi: 4.5, Bound: exact, Reps: 5}, "4.1x (3.8–4.5)"},
		{ratio{Value: 123.4, Lo: 110, Hi: 2345, Bound: exact, Reps: 3}, "123x (110–2,345)"},
		{ratio{Value: 0.573, Lo: 0.55, Hi: 0.6, Bound: exact, Reps: 3}, "0.57x (0.55–0.60)"},
		{ratio{Value: 0.0042, Lo: 0.0042, Hi: 0.0042, Bound: exact, Reps: 3}, "0.004x"},
		{ratio{Value: 0.999, Lo: 0.99, Hi: 1.01, Bound: exact, Reps: 3}, "1.0x (0.99–1.0)"},
		{ratio{Value: 4, Lo: 4, Hi: 4, Bound: exact, Reps: 1}, "4.0x (n=1)"},
		{ratio{Value: 4, Lo: 3, Hi: 5, Bound: exact, Reps: 2}, "4.0x (3.0–5.0, n=2)"},
		{ratio{Value: 110, Lo: 100, Hi: 120, Bound: atLeast, Reps: 3}, "> 110x"},
		{ratio{Value: 0.1, Lo: 0.1, Hi: 0.1, Bound: atMost, Reps: 2}, "< 0.10x (n=2)"},
	} {
		if got := c.ratio.full(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.ratio, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	if got := list([]string{"a", "b", "c"}); got != "a, b and c" {
		t.Errorf("list: %q", got)
	}
	if got := list([]string{"a"}); got != "a" {
		t.Errorf("list of one: %q", got)
	}
	if got := plural(1, "path") + " " + plural(1200, "path"); got != "1 path 1,200 paths" {
		t.Errorf("plural: %q", got)
	}
	if got := shorten("äöüß", 3); got != "äö…" {
		t.Errorf("shorten: %q", got)
	}
	if got := command([]string{"/opt/x/bench", "run", "a b", "it's", ""}); got != `bench run 'a b' 'it'\''s' ''` {
		t.Errorf("command: %s", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", hostile, "\x00\x7f\u0085\u2028\u200b\ufeff", "中文 ä", "\xed\xa0\x80\xf4\x90\x80\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is not UTF-8", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q became %q, which holds %U", s, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Errorf("%q became %q, and that %q", s, got, again)
		}
	})
}

func TestCleanKeepsWhatCanBeSeen(t *testing.T) {
	for s, want := range map[string]string{
		"burst-2 ä 中": "burst-2 ä 中", "a\nb\t": `a\nb\t`, "\x1b[31m": `\x1b[31m`, "\xff": `\xff`, "\u202e": `\u{202e}`, "'\"": `'"`,
	} {
		if got := clean(s); got != want {
			t.Errorf("clean(%q) is %q, want %q", s, got, want)
		}
	}
}
