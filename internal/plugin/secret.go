package plugin

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// secret is the first line of a file that only its owner can read.
func secret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("secret file %s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("secret file %s can be read by others: chmod 600 %s", path, path)
	case uid != os.Geteuid() && uid != 0:
		return "", fmt.Errorf("secret file %s belongs to another user: chown %d %s", path, os.Geteuid(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("secret file %s is empty: the secret stands in its first line", path)
	}
	return line, nil
}
