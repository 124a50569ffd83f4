package watchers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Helper is what the programs that this package starts of itself run: a reader,
// which watches until ctx ends, or a writer. args are what stands behind
// Plan.Helper; out is standard output.
func Helper(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("what this does is the affair of bench watch: run that")
	}
	name, root := args[0], args[1]
	switch name {
	case "fsnotify":
		return readFsnotify(ctx, root, out)
	case "walk":
		return bareWalk(ctx, root, out)
	}
	var n []int
	for _, arg := range args[2:] {
		v, err := strconv.Atoi(arg)
		if err != nil {
			return fmt.Errorf("helper %s: %w", name, err)
		}
		n = append(n, v)
	}
	if len(n) != 2 {
		return fmt.Errorf("helper %s: want two numbers behind the directory", name)
	}
	write, ok := writers[name]
	if !ok {
		return fmt.Errorf("helper %q is not known", name)
	}
	began := time.Now()
	ops, err := write(ctx, root, n[0], n[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(written{ops, time.Since(began).Seconds()})
}

// written is what a writer did, and how long that took.
type written struct {
	Ops     int     `json:"ops"`
	Seconds float64 `json:"s"`
}

// writers make changes below root; what the two numbers are they say.
var writers = map[string]func(ctx context.Context, root string, a, b int) (ops int, err error){
	"create": writeFiles,
	"append": writeAppends,
	"nested": writeNested,
}

// runWriter runs a writer in a process of its own.
func runWriter(ctx context.Context, helper []string, name, root string, a, b int) (w written, err error) {
	argv := append(append([]string{}, helper...), name, root, strconv.Itoa(a), strconv.Itoa(b))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	// The terminal's interrupt is ours to pass on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &w)
	}
	if err != nil {
		return w, errors.Join(ctx.Err(), fmt.Errorf("make changes: %w", err))
	}
	return w, nil
}

// content of the files that are written.
var content = []byte("0123456789abcdef")

// writeFiles creates, writes and closes files in the directories of root, in
// turn, as newFile names them.
func writeFiles(ctx context.Context, root string, dirs, files int) (int, error) {
	for i := range files {
		if i%1000 == 0 && ctx.Err() != nil {
			return i, ctx.Err()
		}
		if err := writeFile(root + "/" + newFile(dirs, i)); err != nil {
			return i, err
		}
	}
	return files, nil
}

// writeFile makes a file with as few calls as can be.
func writeFile(name string) error {
	fd, err := unix.Open(name, unix.O_CREAT|unix.O_WRONLY|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &os.PathError{Op: "create", Path: name, Err: err}
	}
	_, err = unix.Write(fd, content)
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// newDir is the d-th directory, newFile the i-th file in so many directories.
func newDir(d int) string { return fmt.Sprintf("d%04d", d) }

func newFile(dirs, i int) string { return fmt.Sprintf("d%04d/f%07d", i%dirs, i) }

// appendBytes is the size of one append.
const appendBytes = 4096

// appended is the i-th file that is appended to.
func appended(i int) string { return fmt.Sprintf("log%d", i) }

// writeAppends appends to files that stay open, in turn. Each is cut now and
// then, so that little disk is needed.
func writeAppends(ctx context.Context, root string, files, ops int) (n int, err error) {
	const cutAt = 16384 // appends
	var logs []*os.File
	defer func() {
		for _, f := range logs {
			err = errors.Join(err, f.Close())
		}
	}()
	for i := range files {
		f, err := os.OpenFile(filepath.Join(root, appended(i)), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return 0, err
		}
		logs = append(logs, f)
	}
	block := make([]byte, appendBytes)
	for i := range ops {
		if i%1000 == 0 && ctx.Err() != nil {
			return i, ctx.Err()
		}
		if i > 0 && i%cutAt < files {
			if err := logs[i%files].Truncate(0); err != nil {
				return i, err
			}
		}
		if _, err := logs[i%files].Write(block); err != nil {
			return i, err
		}
	}
	return ops, nil
}

// nestedLeaf is the file of the i-th of the nested directories.
func nestedLeaf(i int) string { return fmt.Sprintf("n%05d/a/b/f", i) }

// writeNested makes directories with a file deep in each. The second number
// says nothing.
func writeNested(ctx context.Context, root string, n, _ int) (int, error) {
	for i := range n {
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		leaf := filepath.Join(root, nestedLeaf(i))
		if err := os.MkdirAll(filepath.Dir(leaf), 0o755); err != nil {
			return i, err
		}
		if err := writeFile(leaf); err != nil {
			return i, err
		}
	}
	return n, nil
}

// printer prints the lines of a reader.
type printer struct{ *bufio.Writer }

func newPrinter(out io.Writer) printer { return printer{bufio.NewWriterSize(out, 64<<10)} }

func (p printer) say(word, path string) error {
	_, err := fmt.Fprintf(p, "%s %s\n", word, path)
	return err
}

// untilTerm is ctx that ends with SIGTERM too, which ends a reader.
func untilTerm(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGTERM)
}
