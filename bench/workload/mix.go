package workload

import (
	"context"
	"fmt"
)

const (
	mixBytes = 16 << 10 // no file is larger
	mixDepth = 6        // levels below the root, with names of up to 255 bytes
)

// mix is everything at once: odd names, every kind of entry, and changes of one
// kind into another. The root itself keeps its attributes.
type mix struct {
	rate int64 // operations a second
}

func (mix) Name() string { return "mix" }

func (mix) Doc() string {
	return "Does 1,000 seeded operations of 23 kinds, 400 a second, in a tree of 200 files with odd names: writes, renames onto each other, links, removals, modes, times, and files that become directories or symbolic links and back."
}

func (mix) dims(size Size) (ops, files, dirs int) {
	return size.count(1_000, 60), size.count(200, 20), size.count(25, 5)
}

func (w mix) Needs(size Size) Needs {
	ops, files, dirs := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("ops=%d rate=%d/s files=%d dirs=%d", ops, w.rate, files, dirs),
	}
	// An operation adds at most three directories and a file. A mirror can
	// hold what was moved under both names.
	bytes, inodes := space(dirs+3*ops, files+ops, mixBytes)
	n.Bytes, n.Inodes = 2*bytes, 2*inodes
	return n
}

// plant makes the tree, or only its picture. Every file has a time of its own.
func (w mix) plant(ctx context.Context, m *mixer, size Size) error {
	_, files, dirs := w.dims(size)
	for range dirs {
		dir := m.any(func(n *node) bool { return isDir(n) && n.depth()+2 < mixDepth })
		if dir == nil || m.rng.IntN(3) == 0 {
			dir = m.root
		}
		m.mkdirAt(dir, m.fresh(dir))
	}
	for range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := m.any(isDir)
		m.date(m.createAt(dir, m.fresh(dir)))
	}
	return m.err
}

func (w mix) Prepare(ctx context.Context, src string, size Size) error {
	return w.plant(ctx, newMixer(newPreparer(src, size, "mix")), size)
}

func (w mix) Run(ctx context.Context, src string, size Size) (Changes, error) {
	m, err := w.resume(ctx, src, size)
	if err != nil {
		return Changes{}, err
	}
	_, err = w.operate(ctx, m, size)
	return m.changes(), err
}

// resume is a mixer that knows the prepared tree and has changed nothing yet.
func (w mix) resume(ctx context.Context, src string, size Size) (*mixer, error) {
	m := newMixer(newPreparer(src, size, "mix"))
	m.dry = true
	if err := w.plant(ctx, m, size); err != nil {
		return nil, err
	}
	m.dry, m.changer = false, newChanger(src, size, "mix")
	return m, nil
}

// operate does the operations and counts them by name.
func (w mix) operate(ctx context.Context, m *mixer, size Size) (map[string]int, error) {
	total := 0
	for _, op := range operations {
		total += op.weight
	}
	done := map[string]int{}
	s, err := startSchedule(w.rate)
	if err != nil {
		return done, err
	}
	ops, _, _ := w.dims(size)
	for i := range ops {
		if err := s.wait(ctx, i); err != nil {
			return done, err
		}
		op := m.next(total)
		// There is always something to create.
		for !op.do(m) {
			op = m.next(total)
		}
		if m.err != nil {
			return done, fmt.Errorf("operation %d (%s): %w", i, op.name, m.err)
		}
		done[op.name]++
	}
	return done, nil
}

func (m *mixer) next(total int) operation {
	n := m.rng.IntN(total)
	for _, op := range operations {
		if n -= op.weight; n < 0 {
			return op
		}
	}
	panic("the weights do not add up to their total")
}
