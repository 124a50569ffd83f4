package session

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// member is a process as /proc shows it.
type member struct {
	pid, parent, session int
	// start is when it began, in clock ticks since boot: with the pid it names
	// one process for ever.
	start uint64
	dead  bool // ended, and not yet reaped
}

// errNoProcess says that a process is gone, reaped.
var errNoProcess = errors.New("no such process")

// readMember reads /proc/PID/stat.
func readMember(pid int) (member, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return member{}, errNoProcess
	}
	if err != nil {
		return member{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return parseMember(pid, stat)
}

// parseMember reads "pid (comm) state ppid pgrp session ... starttime", where
// comm may hold blanks and parentheses.
func parseMember(pid int, stat []byte) (member, error) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 {
		return member{}, fmt.Errorf("look at process %d: %q has too few fields", pid, stat)
	}
	m := member{pid: pid, dead: f[0][0] == 'Z' || f[0][0] == 'X'}
	var errs [3]error
	m.parent, errs[0] = strconv.Atoi(string(f[1]))
	m.session, errs[1] = strconv.Atoi(string(f[3]))
	m.start, errs[2] = strconv.ParseUint(string(f[19]), 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return member{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return m, nil
}

// everybody lists all processes.
func everybody() ([]member, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	names, err := proc.Readdirnames(-1)
	if err = errors.Join(err, proc.Close()); err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []member
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		m, err := readMember(pid)
		if errors.Is(err, errNoProcess) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// closure is who of all is chosen, or stands below one who is.
func closure(all []member, chosen func(member) bool) []member {
	children := map[int][]member{}
	in := map[int]bool{}
	var out []member
	for _, m := range all {
		children[m.parent] = append(children[m.parent], m)
		if chosen(m) {
			in[m.pid] = true
			out = append(out, m)
		}
	}
	for i := 0; i < len(out); i++ {
		for _, c := range children[out[i].pid] {
			if !in[c.pid] {
				in[c.pid] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// Members lists the pids of the living processes of a session that pid leads,
// and of all that run below pid. It is one look at all of /proc.
func Members(pid int) ([]int, error) {
	all, err := everybody()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, m := range closure(all, func(m member) bool { return m.pid == pid || m.session == pid }) {
		if !m.dead {
			pids = append(pids, m.pid)
		}
	}
	return pids, nil
}
