package guard

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limits      Limits
		known, most int64
	}{
		{Limits{}, 0, 1000},
		{Limits{}, 1999, 1000},
		{Limits{}, 2002, 1001},
		{Limits{}, 1_000_000, 500_000},
		{Limits{Share: 0.1}, 100_000, 10_000},
		{Limits{Share: 0.1, Files: 5}, 10, 5},
		{Limits{Share: 0.1, Files: 5}, 109, 10},
		{Limits{Share: 0.25, Files: -1}, 10, 2},
		{Limits{Share: 0.25, Files: -1}, 0, 0},
		{Limits{Share: 0.25, Files: -1}, -7, 0},
		{Limits{Share: 1}, 10, -1},
		{Limits{Share: 7}, 0, -1},
		{Limits{Share: math.Inf(1)}, 10, -1},
		{Limits{Share: math.NaN()}, 4000, 2000},
		{Limits{Share: -1}, 4000, 2000},
	} {
		if got := c.limits.MaxDelete(c.known); got != c.most {
			t.Errorf("%+v of %d: at most %d, want %d", c.limits, c.known, got, c.most)
		}
	}
}

func TestAllowAgreesWithMaxDelete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Share: rapid.Float64Range(-0.5, 1.5).Draw(t, "share"), Files: rapid.IntRange(-2, 3000).Draw(t, "files")}
		known := rapid.Int64Range(0, 1<<40).Draw(t, "known")
		most := l.MaxDelete(known)
		if most < 0 {
			if l.Allow(1<<50, known) != nil {
				t.Fatal("no limit, but refused")
			}
			return
		}
		if err := l.Allow(most, known); err != nil {
			t.Fatalf("%d refused: %v", most, err)
		}
		var many *TooMany
		if err := l.Allow(most+1, known); !errors.As(err, &many) || many.Most != most || many.Deletes != most+1 || many.Known != known {
			t.Fatalf("%d allowed: %v", most+1, err)
		}
	})
}

func TestTooManyText(t *testing.T) {
	for _, c := range []struct {
		known int64
		want  string
	}{
		{3000, "2000 deletions of 3000 are more than the 1500 allowed at once; confirm"},
		{0, "2000 deletions of a tree of unknown size are more than the 1000 allowed"},
	} {
		err := Limits{}.Allow(2000, c.known)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
}
