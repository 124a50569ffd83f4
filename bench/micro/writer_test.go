package micro

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// writerVar makes the test binary a writer: its value is the number of
// directories, a blank, the number of files, a blank and the tree.
const writerVar = "FANSYNC_MICRO_WRITER"

// The words of a writer: what it is asked for, and what it answers.
const (
	askWrite  = "write"
	askRemove = "remove"
	answerOK  = "ok"
)

// serveWrites does what it is asked for until in ends.
func serveWrites(spec string, in io.Reader, out io.Writer) error {
	f := strings.SplitN(spec, " ", 3)
	if len(f) != 3 {
		return fmt.Errorf("%s=%q is no tree", writerVar, spec)
	}
	dirs, err := strconv.Atoi(f[0])
	if err != nil {
		return err
	}
	files, err := strconv.Atoi(f[1])
	if err != nil {
		return err
	}
	b := nameBurst(f[2], dirs, files)
	for asked := bufio.NewScanner(in); asked.Scan(); {
		switch asked.Text() {
		case askWrite:
			_, err = b.write()
		case askRemove:
			err = b.removeAll()
		default:
			err = fmt.Errorf("asked to %q", asked.Text())
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, answerOK); err != nil {
			return err
		}
	}
	return nil
}

// writer is a process that writes a burst, so that its CPU time is not ours.
type writer struct {
	to   io.WriteCloser
	from *bufio.Reader
}

// startWriter starts the writer of a burst. It ends with the test.
func startWriter(tb testing.TB, b burst) *writer {
	tb.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", writerVar, len(b.dirs), len(b.files), b.root))
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := to.Close(); err != nil {
			tb.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
	})
	return &writer{to, bufio.NewReader(from)}
}

// do asks the writer for something and waits until it is done.
func (w *writer) do(tb testing.TB, what string) {
	tb.Helper()
	if _, err := fmt.Fprintln(w.to, what); err != nil {
		tb.Fatal(err)
	}
	if answer, err := w.from.ReadString('\n'); err != nil || answer != answerOK+"\n" {
		tb.Fatalf("the writer was asked to %s: %q, %v", what, answer, err)
	}
}
