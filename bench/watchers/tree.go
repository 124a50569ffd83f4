package watchers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// fanOut is how many directories a directory of the forest has.
const fanOut = 50

// forestDir is the path of the i-th directory of the forest, relative to it. The
// parents come before their children.
func forestDir(i int) string {
	var parts []string
	for ; i >= 0; i = i/fanOut - 1 {
		parts = append(parts, fmt.Sprintf("d%02d", i%fanOut))
	}
	for l, r := 0, len(parts)-1; l < r; l, r = l+1, r-1 {
		parts[l], parts[r] = parts[r], parts[l]
	}
	return strings.Join(parts, "/")
}

// plantForest makes a deep tree with the files spread over it.
func plantForest(ctx context.Context, root string, s shape) error {
	for i := range s.dirs {
		dir := root + "/" + forestDir(i)
		if err := unix.Mkdir(dir, 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: dir, Err: err}
		}
		for f := range (s.files + s.dirs - 1 - i) / s.dirs {
			if err := touch(fmt.Sprintf("%s/file%04d", dir, f)); err != nil {
				return err
			}
		}
		if i%100 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// touch makes an empty file.
func touch(name string) error {
	fd, err := unix.Open(name, unix.O_CREAT|unix.O_WRONLY|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err == nil {
		err = unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "create", Path: name, Err: err}
	}
	return nil
}

func plantNothing(context.Context, string, shape) error { return nil }

// plantDirs makes the directories that writeFiles writes to.
func plantDirs(_ context.Context, root string, s shape) error {
	for d := range s.dirs {
		if err := os.Mkdir(filepath.Join(root, newDir(d)), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// plantLogs makes the files that writeAppends writes to.
func plantLogs(_ context.Context, root string, s shape) error {
	for i := range s.files {
		if err := touch(filepath.Join(root, appended(i))); err != nil {
			return err
		}
	}
	return nil
}

// floodDir is where a writer of the flood writes, relative to the tree.
func floodDir(writer int) string { return fmt.Sprintf("w%d", writer) }

func plantFlood(ctx context.Context, root string, s shape) error {
	s.dirs /= floodWriters
	for w := range floodWriters {
		dir := filepath.Join(root, floodDir(w))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := plantDirs(ctx, dir, s); err != nil {
			return err
		}
	}
	return nil
}

// fits fails if there is no room for a scenario in dir.
func (s shape) fits(name, dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	// A directory takes a block, and so does a file with content.
	const block, slack = 4096, 64 << 20
	inodes := int64(s.dirs+s.files+s.made) + 1000
	need := int64(s.dirs+s.made)*block + int64(s.files)*256 + s.bytes + slack
	if free := int64(st.Bavail) * st.Bsize; free < need {
		return fmt.Errorf("scenario %s needs %d MB in %s, which has %d: free some, name another with --src-dir, or lower --scale",
			name, need>>20, dir, free>>20)
	}
	// A filesystem without a table of inodes says 0.
	if st.Files > 0 && int64(st.Ffree) < inodes {
		return fmt.Errorf("scenario %s needs %d inodes in %s, which has %d: name another with --src-dir, or lower --scale",
			name, inodes, dir, st.Ffree)
	}
	return nil
}

// sameFilesystem reports whether two directories lie on one.
func sameFilesystem(a, b string) (bool, error) {
	var x, y unix.Stat_t
	if err := errors.Join(unix.Stat(a, &x), unix.Stat(b, &y)); err != nil {
		return false, fmt.Errorf("look at %s and %s: %w", a, b, err)
	}
	return x.Dev == y.Dev, nil
}
