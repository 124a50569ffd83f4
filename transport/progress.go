package transport

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/fansync/fansync/scheduler"
)

// progressLine is what --info=progress2 writes, ended by a carriage return:
//
//	30,000,004  99%   19.87MB/s    0:00:01 (xfr#2, ir-chk=1024/1327)
//
// The parenthesis stands only at a file's end. ir-chk instead of to-chk says
// that the file list is still growing.
var progressLine = regexp.MustCompile(`^\s*([0-9,.]+)\s+([0-9]+)%\s+([0-9.,]+)([kMGT]?)B/s\s+[0-9:?]+(?:\s+\(xfr#([0-9,]+), (?:to|ir)-chk=([0-9,]+)/([0-9,]+)\))?\s*$`)

// rateUnits are powers of 1024, whatever the letters say.
var rateUnits = map[string]float64{"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// parseProgress reads one such line into p; the counts stay as they were if
// the line has none.
func parseProgress(line string, p *scheduler.Progress) bool {
	m := progressLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	rate, err := strconv.ParseFloat(strings.ReplaceAll(m[3], ",", ""), 64)
	if err != nil {
		return false
	}
	p.Bytes = number(m[1])
	p.Percent = int(number(m[2]))
	p.Rate = int64(rate * rateUnits[m[4]])
	if m[5] != "" {
		p.Files = number(m[5])
		p.Total = number(m[7])
		p.Checked = p.Total - number(m[6])
	}
	return true
}

// number reads digits with or without grouping.
func number(s string) int64 {
	n, err := strconv.ParseInt(strings.NewReplacer(",", "", ".", "").Replace(s), 10, 64)
	if err != nil {
		return 0 // more digits than an int64 has: no count we could use
	}
	return n
}

const filesPrefix = "Number of files: "

// others is how many of n entries are neither regular files nor directories, by
// what rsync tells behind the number: (reg: 3, dir: 1, link: 1).
func others(n int64, kinds string) int64 {
	for _, kind := range strings.Split(strings.Trim(kinds, "()"), ", ") {
		name, count, _ := strings.Cut(kind, ": ")
		if name == "reg" || name == "dir" {
			n -= number(count)
		}
	}
	return n
}

// statsLines are the totals of --stats by the start of their line.
var statsLines = []struct {
	prefix string
	field  func(*scheduler.Stats) *int64
}{
	{filesPrefix, func(s *scheduler.Stats) *int64 { return &s.Files }},
	{"Number of regular files transferred: ", func(s *scheduler.Stats) *int64 { return &s.Transferred }},
	{"Number of files transferred: ", func(s *scheduler.Stats) *int64 { return &s.Transferred }},
	{"Number of created files: ", func(s *scheduler.Stats) *int64 { return &s.Created }},
	{"Number of deleted files: ", func(s *scheduler.Stats) *int64 { return &s.Deleted }},
	{"Total file size: ", func(s *scheduler.Stats) *int64 { return &s.Bytes }},
	{"Literal data: ", func(s *scheduler.Stats) *int64 { return &s.Literal }},
	{"Total bytes sent: ", func(s *scheduler.Stats) *int64 { return &s.Wire }},
}

// parseStats takes one line of --stats.
func parseStats(line string, s *scheduler.Stats) bool {
	for _, l := range statsLines {
		if rest, ok := strings.CutPrefix(line, l.prefix); ok {
			count, kinds, _ := strings.Cut(rest, " ")
			*l.field(s) = number(count)
			if l.prefix == filesPrefix {
				s.Others = others(s.Files, kinds)
			}
			return true
		}
	}
	return false
}
