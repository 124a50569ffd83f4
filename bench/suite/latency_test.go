package suite

import (
	"fmt"
	"testing"
)

func TestLatency(t *testing.T) {
	due, arrived := map[string]int64{}, map[string]int64{}
	for i := range 1000 {
		name := fmt.Sprint(i)
		due[name] = int64(i) * 1e6
		if i%100 != 99 {
			arrived[name] = due[name] + int64(i+1)*1e3 // 1 to 1000 µs
		}
	}
	arrived["stranger"] = 5
	l, err := latency(due, arrived)
	if err != nil {
		t.Fatal(err)
	}
	if l.Count != 990 || l.Lost != 10 {
		t.Errorf("%d seen, %d lost", l.Count, l.Lost)
	}
	// Three significant digits.
	for _, c := range []struct {
		name      string
		got, want int64
	}{{"p50", l.P50, 499}, {"p90", l.P90, 899}, {"p99", l.P99, 990}, {"max", l.Max, 999}} {
		if diff := c.got - c.want; diff < -3 || diff > 3 {
			t.Errorf("%s is %d, want about %d", c.name, c.got, c.want)
		}
	}
	last := l.Counts[len(l.Counts)-1]
	if last.Share != 0.99 {
		t.Errorf("the curve ends at %v, want 0.99: the lost are missing", last.Share)
	}
	for i := 1; i < len(l.Counts); i++ {
		if a, b := l.Counts[i-1], l.Counts[i]; a.Micros >= b.Micros || a.Share > b.Share {
			t.Errorf("the curve falls: %+v then %+v", a, b)
		}
	}
}

// TestLatencyOfNothing: all lost is a distribution too.
func TestLatencyOfNothing(t *testing.T) {
	l, err := latency(map[string]int64{"a": 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Count != 0 || l.Lost != 1 || len(l.Counts) != 0 {
		t.Errorf("%+v", l)
	}
}

// TestLatencyBeforeDue: a name seen before it was due, as by a coarse clock,
// took no time at all.
func TestLatencyBeforeDue(t *testing.T) {
	l, err := latency(map[string]int64{"a": 5e9}, map[string]int64{"a": 4e9})
	if err != nil {
		t.Fatal(err)
	}
	if l.Max != 1 {
		t.Errorf("max %d µs", l.Max)
	}
}
