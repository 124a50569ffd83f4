package measure

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// hogVar makes the test binary a hog: as many generations of processes as its
// value has letters.
const hogVar = "FANSYNC_BENCH_TEST_HOG"

// within is how long a test waits for what must come.
const within = 20 * time.Second

func TestMain(m *testing.M) {
	if generations := os.Getenv(hogVar); generations != "" {
		hog(generations)
	}
	goleak.VerifyTestMain(m)
}

// hogMB is what each hog holds.
const hogMB = 32

// hog holds memory and prints "ready", takes CPU time when it may read a byte and
// prints "burnt", and then does nothing until it is killed.
func hog(generations string) {
	memory := make([]byte, hogMB<<20)
	for i := range memory {
		memory[i] = byte(i)
	}
	if rest := generations[1:]; rest != "" {
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), hogVar+"="+rest)
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			panic(err)
		}
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	var sum byte
	for range 4 {
		for i := range memory {
			sum += memory[i]
		}
	}
	fmt.Println("burnt", sum != 1)
	for {
		_ = unix.Pause()
	}
}

// await polls until ok says true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}
