package watchers

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// column is a measure in a table.
type column struct {
	title string
	show  func(v float64) string
	value func(c Cell) float64 // 0 is none
	// base is whom the others' ratios are to; nil shows no ratios.
	base func(names []string) string
}

// against is the base of ratios: name if it ran, else the first watcher.
func against(name string) func([]string) string {
	return func(names []string) string {
		if slices.Contains(names, name) {
			return name
		}
		return names[0]
	}
}

var (
	readyTime  = column{"ready after", showSeconds, func(c Cell) float64 { return c.ReadySeconds }, against("walk")}
	rss        = column{"memory then", showMB, func(c Cell) float64 { return c.RSSMB }, nil}
	kernel     = column{"kernel memory", showMB, func(c Cell) float64 { return c.KernelMB }, nil}
	peakRSS    = column{"peak memory", showMB, func(c Cell) float64 { return c.PeakRSSMB }, nil}
	cpuTime    = column{"CPU per change", showMicros, func(c Cell) float64 { return c.CPUMicros }, against("fansync")}
	writerRate = column{"writer, changes/s", showCount, func(c Cell) float64 {
		if c.WriterSeconds == 0 {
			return 0
		}
		return float64(c.Ops) / c.WriterSeconds
	}, against(None)}
)

// columnsOf are the measures of a scenario.
func columnsOf(scenario string) []column {
	switch scenario {
	case "create", "append":
		return []column{cpuTime, writerRate, peakRSS}
	case "nested":
		return []column{peakRSS}
	case "flood":
		rate := writerRate
		rate.title, rate.base = "writers, changes/s", nil
		return []column{rate, peakRSS}
	}
	return []column{readyTime, rss, peakRSS, kernel}
}

// WriteReport writes report.md of the results in dir beside them.
func WriteReport(dir string) error {
	run, cells, err := ReadResults(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.md"), []byte(markdown(run, cells)), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// markdown is the report.
func markdown(run Run, cells []Cell) string {
	var b strings.Builder
	h := run.Host
	fmt.Fprintf(&b, "# Watchers\n\n")
	fmt.Fprintf(&b, "- command: `%s`\n", strings.Join(run.Command, " "))
	fmt.Fprintf(&b, "- started: %s; %d repetitions, scale %v\n", run.Started.Format(time.RFC3339), run.Reps, run.Scale)
	fmt.Fprintf(&b, "- machine: %s, %s, %d cores, %d MB\n", h.Kind, h.CPU, h.Cores, h.MemMB)
	fmt.Fprintf(&b, "- system: Linux %s, %s; trees on %s\n", h.Kernel, h.OS, h.SrcFS)
	fmt.Fprintf(&b, "- fs.inotify.max_queued_events: %d\n", run.MaxQueuedEvents)
	for _, name := range slices.Sorted(maps.Keys(run.Versions)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, run.Versions[name])
	}
	b.WriteString("\nMedians, with the lowest and highest in brackets, and in italics the ratio of medians" +
		" to the row that has none. A figure of a watcher that did not tell of all says so beside it.\n")
	_, docs := Scenarios()
	for _, name := range order(cells, func(c Cell) string { return c.Scenario }) {
		var some []Cell
		for _, c := range cells {
			if c.Scenario == name {
				some = append(some, c)
			}
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\nSize: %s\n\n", name, docs[name], some[0].Params)
		table(&b, columnsOf(name), some)
	}
	return b.String()
}

// order is the values of key, each once, as they come.
func order(cells []Cell, key func(Cell) string) (keys []string) {
	for _, c := range cells {
		if k := key(c); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// table writes the table of a scenario, and what there is to note.
func table(b *strings.Builder, columns []column, cells []Cell) {
	names := order(cells, func(c Cell) string { return c.Watcher })
	b.WriteString("| watcher |")
	for _, col := range columns {
		fmt.Fprintf(b, " %s |", col.title)
	}
	b.WriteString(" told |\n|---|" + strings.Repeat("---:|", len(columns)) + "---|\n")
	var notes []string
	for _, name := range names {
		mine := of(cells, name)
		fmt.Fprintf(b, "| %s |", name)
		for _, col := range columns {
			text := figure(col, values(mine, col))
			if col.base != nil {
				if base := col.base(names); base != name {
					text += ratio(values(mine, col), values(of(cells, base), col))
				}
			}
			fmt.Fprintf(b, " %s |", text)
		}
		fmt.Fprintf(b, " %s |\n", told(mine))
		for _, c := range mine {
			if note := fmt.Sprintf("- %s: %s", name, c.Note); c.Note != "" && !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n" + strings.Join(notes, "\n") + "\n")
	}
}

func of(cells []Cell, watcher string) (some []Cell) {
	for _, c := range cells {
		if c.Watcher == watcher {
			some = append(some, c)
		}
	}
	return some
}

// values are those of a measure in the cells that were measured to the end,
// sorted.
func values(cells []Cell, col column) (v []float64) {
	for _, c := range cells {
		if x := col.value(c); x > 0 && (c.Verdict == Complete || c.Verdict == Missed) {
			v = append(v, x)
		}
	}
	slices.Sort(v)
	return v
}

// median is that of sorted values, of which there is one at least.
func median(v []float64) float64 {
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// figure is the median and the spread.
func figure(col column, v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	text := col.show(median(v))
	lo, hi := col.show(v[0]), col.show(v[len(v)-1])
	if lo != hi {
		text += " (" + lo + "–" + hi + ")"
	}
	return text
}

// ratio is that of the medians, if there are two.
func ratio(v, base []float64) string {
	if len(v) == 0 || len(base) == 0 {
		return ""
	}
	return " *" + strconv.FormatFloat(median(v)/median(base), 'f', 2, 64) + "x*"
}

// told says how complete a watcher was in the repetitions.
func told(cells []Cell) string {
	counts := map[Verdict]int{}
	var missed []int
	wanted, rescans, losses := 0, 0, 0
	for _, c := range cells {
		counts[c.Verdict]++
		if c.Wanted > 0 && c.Verdict != Skipped && c.Verdict != Failed {
			missed = append(missed, c.Missed)
			wanted = c.Wanted
		}
		rescans, losses = max(rescans, c.Rescans), max(losses, c.Losses)
	}
	var parts []string
	if len(missed) > 0 {
		lo, hi := slices.Min(missed), slices.Max(missed)
		switch {
		case hi == 0:
			parts = append(parts, "all "+whole(wanted))
		case lo == hi:
			parts = append(parts, fmt.Sprintf("**missed %s** of %s", whole(hi), whole(wanted)))
		default:
			parts = append(parts, fmt.Sprintf("**missed %s–%s** of %s", whole(lo), whole(hi), whole(wanted)))
		}
	}
	for _, v := range []Verdict{Ended, Silent, Skipped, Failed} {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d of %d times", v, n, len(cells)))
		}
	}
	if rescans > 0 {
		parts = append(parts, fmt.Sprintf("up to %d rescans", rescans))
	}
	if losses > 0 {
		parts = append(parts, fmt.Sprintf("up to %d notices of loss", losses))
	}
	return strings.Join(parts, "; ")
}

func showSeconds(v float64) string {
	if v < 1 {
		return digits(v*1000) + " ms"
	}
	return digits(v) + " s"
}

func showMB(v float64) string     { return digits(v) + " MB" }
func showMicros(v float64) string { return digits(v) + " µs" }
func showCount(v float64) string  { return whole(int(v + 0.5)) }

// digits is v with three digits.
func digits(v float64) string {
	switch {
	case v >= 100:
		return whole(int(v + 0.5))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// whole is n with a comma before each three digits.
func whole(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
