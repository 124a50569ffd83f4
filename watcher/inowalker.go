package watcher

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// walkBatch is how many directories a walker visits at once at most, with as
// many descriptors: for each batch it takes the lock twice.
const walkBatch = 16

// walker is what one walker needs, so that hardly anything is allocated per
// directory.
type walker struct {
	*walk
	batch []visit
	// entries is what the kernel lists, kids the names as in walkJob.
	entries, kids []byte
	// root is the root's path, paths are those of a batch.
	root, paths []byte
	// ownDir says that the walker may change its working directory.
	ownDir bool
}

// visit is a directory on its way into the tree.
type visit struct {
	parent inoRef // zero for the root
	name   string
	// at is where in paths its path begins, rel the part below the root, and
	// end where the NUL is that follows it.
	at, rel, end int
	fd           int // -1: none
	wd           int32
	err          error
	node         inoRef
	kids         string // as walkJob.names
}

// run is one walker. It ends when all is walked, or ended is set.
func (k *walk) run() {
	w := walker{walk: k, entries: make([]byte, direntBuffer), ownDir: ownDir()}
	w.root = append(w.root, k.b.abs("")...)
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	for {
		for len(k.jobs) == 0 && k.active > 0 && !k.ended {
			k.idle++
			k.more.Wait()
			k.idle--
		}
		if len(k.jobs) == 0 || k.ended {
			return
		}
		w.take()
		k.active++
		w.visit()
		k.active--
		if k.active == 0 && len(k.jobs) == 0 {
			// Only one walker comes here, once. Ready does not wait for the
			// resolver, which may be waiting for a receiver that waits for it.
			k.b.ready.Do(func() { close(k.b.r.w.ready) })
			k.b.done <- struct{}{}
			k.more.Broadcast()
		}
	}
}

// take fills the batch, but leaves something for the other walkers.
func (w *walker) take() {
	w.batch, w.paths = w.batch[:0], w.paths[:0]
	for range min(max(w.names/4, 1), walkBatch) {
		j := &w.jobs[len(w.jobs)-1]
		end := 1 + int(j.names[0])
		v := visit{parent: j.parent, name: j.names[1:end], fd: -1}
		w.names--
		if j.names = j.names[end:]; j.names == "" {
			w.jobs[len(w.jobs)-1] = walkJob{}
			w.jobs = w.jobs[:len(w.jobs)-1]
		}
		if w.place(&v) {
			w.batch = append(w.batch, v)
		}
	}
}

// visit watches and lists the directories of the batch. The caller holds mu,
// which is given up in between.
//
// What a record of which directory was moved or was lost tells, is older than
// what is found by opening a path after it was handled. So where such a one was
// handled since, what was found counts for nothing. Other records of a watch
// that is not yet a node's are dropped; the listing, which comes after, has all
// that they tell.
func (w *walker) visit() {
	b := w.b
	changes := b.tree.changes
	b.mu.Unlock()
	for i := range w.batch {
		v := &w.batch[i]
		if w.open(v); v.err == nil && b.r.w.cfg.maxWatches == nil {
			v.wd, v.err = w.watch(v.fd)
		}
	}
	b.mu.Lock()
	for i := range w.batch {
		w.adopt(&w.batch[i], b.tree.changes == changes)
	}
	b.mu.Unlock()
	for i := range w.batch {
		if v := &w.batch[i]; v.fd >= 0 {
			w.kids, v.err = listDirs(v.fd, w.entries, w.kids[:0])
			unix.Close(v.fd)
			v.kids = string(w.kids)
		}
	}
	b.mu.Lock()
	for i := range w.batch {
		if v := &w.batch[i]; v.fd >= 0 {
			w.listed(v)
		}
	}
	clear(w.batch)
	if w.idle > 0 && len(w.jobs) > 0 {
		w.more.Broadcast()
	}
}

// ownDir ties the caller to a thread with a working directory of its own, which
// ends with it, and reports false where the kernel or a container's rules forbid
// that. The first thread does not end, and would stay in some directory.
func ownDir() bool {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() || unix.Unshare(unix.CLONE_FS) != nil {
		runtime.UnlockOSThread()
		return false
	}
	return true
}

// watch is ino.watch, sooner: to look up "." costs a fifth of the way by /proc.
func (w *walker) watch(fd int) (int32, error) {
	if w.ownDir && unix.Fchdir(fd) == nil {
		wd, err := unix.InotifyAddWatch(w.b.fd, ".", w.b.mask())
		return int32(wd), err
	}
	return w.b.watch(fd)
}

// open opens the directory of v, without the lock or with it.
func (w *walker) open(v *visit) {
	v.fd, v.err = openDirBytes(w.paths[v.at : v.end+1])
}

// adopt links the directory of v, which it opens and watches again unless what
// was found still counts. It leaves v.fd at -1 if there is nothing to list. The
// caller holds mu.
func (w *walker) adopt(v *visit, counts bool) {
	b := w.b
	if !counts {
		w.undo(v)
		if !w.place(v) {
			return
		}
		w.open(v)
		v.wd = 0
	}
	if v.err == nil && v.wd == 0 {
		v.wd, v.err = b.watch(v.fd)
	}
	parent := b.tree.at(v.parent)
	if v.err != nil {
		b.refused(parent, v.name, string(w.paths[v.rel:v.end]), v.err)
	} else if n, _ := b.adopt(parent, v.name, v.wd); n != 0 {
		v.node = b.tree.ref(n)
		return
	}
	if v.fd >= 0 {
		unix.Close(v.fd)
		v.fd = -1
	}
}

// undo closes what was opened, and gives back a watch that is no node's. The
// caller holds mu.
func (w *walker) undo(v *visit) {
	if v.fd >= 0 {
		unix.Close(v.fd)
		v.fd = -1
	}
	if t := w.b.tree; v.wd != 0 && t.watched(v.wd) == 0 {
		// Another walker may have just got the same.
		t.changes++
		t.unwatch(v.wd)
	}
}

// listed takes in what was found in the directory of v. The caller holds mu.
func (w *walker) listed(v *visit) {
	b := w.b
	n := b.tree.at(v.node)
	if n == 0 {
		return
	}
	b.tree.node(n).listed = v.err == nil
	if v.err != nil {
		if path, ok := b.tree.path(n); ok {
			b.unlisted(path, v.err)
		}
	}
	if v.kids != "" {
		w.jobs = append(w.jobs, walkJob{parent: v.node, names: v.kids})
		for names := v.kids; names != ""; names = names[1+int(names[0]):] {
			w.names++
		}
	}
}

// place puts into paths where the directory of v is now; it reports false if
// that is nowhere, or ignored. The caller holds mu.
func (w *walker) place(v *visit) bool {
	v.at = len(w.paths)
	w.paths = append(w.paths, w.root...)
	v.rel = len(w.paths)
	if v.parent.id != 0 {
		var ok bool
		if len(w.root) > 1 {
			w.paths = append(w.paths, '/')
			v.rel++
		}
		if w.paths, ok = w.b.tree.appendPath(w.paths, w.b.tree.at(v.parent)); !ok {
			return false
		}
		if len(w.paths) > v.rel {
			w.paths = append(w.paths, '/')
		}
		w.paths = append(w.paths, v.name...)
	}
	v.end = len(w.paths)
	w.paths = append(w.paths, 0)
	return w.b.r.w.cfg.Ignore == nil || !w.b.r.ignored(string(w.paths[v.rel:v.end]), true)
}
