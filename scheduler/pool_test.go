package scheduler

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func testPool(t *testing.T) *Pool {
	t.Helper()
	p, err := NewPool(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoolRunsSoManyInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPool(t)
		release := make(chan struct{})
		var mu sync.Mutex
		var begun []int
		var wg sync.WaitGroup
		for i := range 3 * p.base {
			wg.Add(1)
			p.Go(func() {
				defer wg.Done()
				mu.Lock()
				begun = append(begun, i)
				mu.Unlock()
				<-release
			})
		}
		synctest.Wait()
		if len(begun) != p.base {
			t.Errorf("%d tasks run, want %d", len(begun), p.base)
		}
		for i := p.base; i < 2*p.base; i++ {
			release <- struct{}{}
			synctest.Wait()
			if len(begun) != i+1 || begun[i] != i {
				t.Fatalf("after %d tasks: begun %v", i-p.base+1, begun)
			}
		}
		close(release)
		wg.Wait()
		p.Close()
	})
}

func TestPoolParksLongTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPool(t)
		var wg sync.WaitGroup
		release, ran := make(chan struct{}), make(chan time.Time, 1)
		for range 5 * p.base {
			wg.Add(1)
			p.Go(func() { defer wg.Done(); <-release })
		}
		begin := time.Now()
		wg.Add(1)
		p.Go(func() { defer wg.Done(); ran <- time.Now() })
		if at := <-ran; at.Sub(begin) != 5*parkAfter {
			t.Errorf("five rounds of stuck tasks held up the next for %v", at.Sub(begin))
		}
		close(release)
		wg.Wait()
		synctest.Wait()
		if p.parked != 0 || p.running != 0 {
			t.Errorf("at rest: %d parked, %d running", p.parked, p.running)
		}
		// Back to its size.
		var mu sync.Mutex
		n := 0
		release = make(chan struct{})
		for range 2 * p.base {
			wg.Add(1)
			p.Go(func() { defer wg.Done(); mu.Lock(); n++; mu.Unlock(); <-release })
		}
		synctest.Wait()
		if n != p.base {
			t.Errorf("%d run at once after parking, want %d", n, p.base)
		}
		close(release)
		wg.Wait()
		p.Close()
	})
}

func TestPoolStress(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := testPool(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				done := make(chan struct{})
				p.Go(func() { close(done) })
				<-done
			}
		})
	}
	wg.Wait()
	p.Close()
	p.Close()
}

func TestPoolSharesOrderedQueue(t *testing.T) {
	p := testPool(t)
	defer p.Close()
	const n = 500
	var mu sync.Mutex
	var seen []int
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		p.Go(func() {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, i)
		})
	}
	wg.Wait()
	slices.Sort(seen)
	for i, v := range seen {
		if i != v {
			t.Fatalf("task %d ran %d times", i, 1)
		}
	}
}

// Under a limit long tasks count too, and large files leave room for one other.
func TestPoolLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPool(t)
		p.Limit(3)
		release := make(chan struct{})
		var mu sync.Mutex
		begun := map[string]int{}
		var wg sync.WaitGroup
		task := func(kind string) func() {
			wg.Add(1)
			return func() {
				defer wg.Done()
				mu.Lock()
				begun[kind]++
				mu.Unlock()
				<-release
			}
		}
		want := func(large, small int) {
			t.Helper()
			pass(10 * parkAfter)
			mu.Lock()
			defer mu.Unlock()
			if begun["large"] != large || begun["small"] != small || p.Running() > 3 {
				t.Errorf("begun: %v, running: %d", begun, p.Running())
			}
		}
		for range 4 {
			p.GoLarge(task("large"))
		}
		want(2, 0)
		p.Go(task("small"))
		p.Go(task("small"))
		want(2, 1)
		close(release)
		wg.Wait()
		want(4, 2)
		p.Close()
	})
}
