package workload

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
)

// count scales a number, but not below least.
func (s Size) count(n, least int) int {
	return max(int(math.Round(float64(n)*s.Scale)), least)
}

// thousands writes a number as people read it, such as 10,000.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// random is the source of the seed for one purpose, such as "burst run".
func (s Size) random(purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose)) // hash.Hash: it never returns an error
	return rand.New(rand.NewPCG(s.Seed, h.Sum64()))
}

// blockBytes is the unit in which common filesystems give out space.
const blockBytes = 4096

// space bounds what a tree takes on the disk: so many directories, files of at
// most fileBytes, and what tools keep there for a moment.
func space(dirs, files int, fileBytes int64) (bytes, inodes int64) {
	const (
		entryBytes = 64 // of a short name in its directory, whose blocks are half full
		slackBytes = 1 << 20
		slackNodes = 64
	)
	perFile := (fileBytes + blockBytes - 1) / blockBytes * blockBytes
	all := int64(dirs) + int64(files)
	return int64(files)*perFile + int64(dirs)*2*blockBytes + all*entryBytes + slackBytes, all + slackNodes
}
