package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The loads, in order: burst writes files while the program runs as ever; still
// writes as many while the program is stopped by a signal, so that it meets all
// changes at once when it goes on, and what happens then hardly depends on
// chance, nor on strace's slowness; removal takes burst's away by rm -rf.
const (
	loadBurst   = "burst"
	loadStill   = "still"
	loadRemoval = "removal"
)

// Counts, the last word of their measures' names.
const (
	countRsyncs = "rsyncs"
	countBytes  = "wire-bytes"
)

// toleranceOf says how far a count may rise. Only tried, not derived: they are
// beyond what repetitions of one binary differ by on two busy cores.
func toleranceOf(name string) Tolerance {
	load, count, _ := strings.Cut(name, " ")
	switch {
	case count == countRsyncs && load == loadBurst:
		return Tolerance{Abs: 2, Share: 0.25} // one or two join in while it is written
	case count == countRsyncs:
		return Tolerance{Abs: 1, Share: 0.25}
	case count == countBytes:
		return Tolerance{Share: 0.05}
	case count == "read":
		return Tolerance{Abs: 100, Share: 0.02} // as often as the kernel's queue was looked at
	}
	return Tolerance{Abs: 40, Share: 0.02}
}

// countNames are all that counts can give.
func countNames() []string {
	var names []string
	for _, load := range []string{loadBurst, loadStill, loadRemoval} {
		names = append(names, load+" "+countRsyncs, load+" "+countBytes)
	}
	for _, call := range calls {
		names = append(names, loadStill+" "+call)
	}
	return names
}

// counts puts the program of each side under the loads n times, in turns.
func (g *gate) counts(ctx context.Context, n int) ([]Measure, error) {
	var s series
	for i := range n {
		g.say("counts: round %d of %d", i+1, n)
		for j := range g.sides {
			one := g.sides[(i+j)%len(g.sides)]
			if one.program == "" {
				continue
			}
			counts, err := g.load(ctx, one)
			if err != nil {
				err = fmt.Errorf("%s: load on %s: %w", one.name, programDir, err)
				if !g.bear(ctx, one, err) {
					return nil, err
				}
				one.program = ""
				continue
			}
			for _, name := range countNames() {
				if v, ok := counts[name]; ok {
					s.add(name, Measure{Counted: true, Tolerance: toleranceOf(name)}, one == g.head(), v)
				}
			}
		}
	}
	return s.all(), nil
}

// load runs all loads once on one side's program.
func (g *gate) load(ctx context.Context, one *side) (counts map[string]float64, err error) {
	dir, err := os.MkdirTemp(g.quiet, "load-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, err := startMirror(ctx, one.program, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := m.stop(); e != nil {
			err = errors.Join(err, e)
		} else if err != nil {
			err = fmt.Errorf("%w\nfansync said: %s", err, lastLines(m.program.out.String(), 10))
		}
	}()
	counts = map[string]float64{}
	take := func(load string, s served, err error) error {
		counts[load+" "+countRsyncs], counts[load+" "+countBytes] = float64(s.rsyncs), float64(s.bytes)
		return err
	}
	s, err := m.counted(ctx,
		func() error { return writeFiles(filepath.Join(m.src, loadBurst), loadDirs, loadFiles) },
		func() bool { return m.arrived(loadBurst) })
	if err := take(loadBurst, s, err); err != nil {
		return nil, fmt.Errorf("%s: %w", loadBurst, err)
	}
	t, err := trace(ctx, m.program.cmd.Process.Pid, dir)
	if err != nil {
		g.note("system calls are not counted: %v", err)
	}
	s, err = m.counted(ctx, func() error { return m.still(ctx) }, func() bool { return m.arrived(loadStill) })
	if t != nil {
		var byCall map[string]float64
		byCall, e := t.end()
		err = errors.Join(err, e)
		for name, n := range byCall {
			counts[loadStill+" "+name] = n
		}
	}
	if err := take(loadStill, s, err); err != nil {
		return nil, fmt.Errorf("%s: %w", loadStill, err)
	}
	s, err = m.counted(ctx,
		func() error { return exec.CommandContext(ctx, "rm", "-rf", filepath.Join(m.src, loadBurst)).Run() },
		func() bool { return m.gone(loadBurst) })
	if err := take(loadRemoval, s, err); err != nil {
		return nil, fmt.Errorf("%s: %w", loadRemoval, err)
	}
	return counts, nil
}

// still writes files while the program is stopped.
func (m *mirror) still(ctx context.Context) error {
	pid := m.program.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop fansync: %w", err)
	}
	err := until(ctx, "fansync is stopped", m.children(), func() (bool, error) { return stopped(pid) })
	if err == nil {
		err = writeFiles(filepath.Join(m.src, loadStill), loadDirs, loadFiles)
	}
	if e := syscall.Kill(pid, syscall.SIGCONT); e != nil {
		err = errors.Join(err, fmt.Errorf("let fansync go on: %w", e))
	}
	return err
}

// stopped reports whether every thread of a process is.
func stopped(pid int) (bool, error) {
	return everyThread(pid, "stat", func(text string) bool {
		// The state is the word after the name, which is in brackets.
		state := strings.TrimSpace(text[strings.LastIndexByte(text, ')')+1:])
		return state != "" && (state[0] == 'T' || state[0] == 't')
	})
}

// everyThread reports whether ok says yes to a file of /proc for every thread of
// a process, of which there is one at least.
func everyThread(pid int, file string, ok func(text string) bool) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", pid, file))
	if err != nil {
		return false, err
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended
		}
		if err != nil {
			return false, err
		}
		if !ok(string(text)) {
			return false, nil
		}
	}
	return len(threads) > 0, nil
}
