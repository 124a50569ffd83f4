package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// onHangup calls f once if whoever reads what is written to the file goes
// away, until stop is called. A pipe tells; a file on disk never does. So a
// program that has nothing to write learns of it too.
func onHangup(file *os.File, f func()) (stop func(), err error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		// No events asked for: errors and hang-ups are told always.
		fds := []unix.PollFd{{Fd: int32(file.Fd())}, {Fd: int32(wake), Events: unix.POLLIN}}
		for {
			_, err := unix.Poll(fds, -1)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil && fds[1].Revents == 0 {
				f()
			}
			return
		}
	})
	return func() {
		one := [8]byte{1}
		// The only failure is a counter already full, which wakes as well.
		_, _ = unix.Write(wake, one[:])
		waiting.Wait()
		unix.Close(wake)
	}, nil
}
