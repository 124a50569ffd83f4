package report

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/fansync/fansync/bench/record"
)

// fact is one thing about the run.
type fact struct{ Name, Value string }

// facts tell where and how it was run; what is not known is left out.
func (m *model) facts() []fact {
	run, host := m.run, m.run.Host
	var all []fact
	add := func(name, value string) {
		if value = strings.TrimSpace(clean(value)); value != "" {
			all = append(all, fact{name, value})
		}
	}
	if !run.Started.IsZero() {
		add("Started", run.Started.UTC().Format("2006-01-02 15:04 UTC"))
	}
	add("Host", host.Kind)
	processor := host.CPU
	if host.Cores > 0 {
		processor = strings.TrimPrefix(fmt.Sprintf("%s, %s", processor, plural(host.Cores, "core")), ", ")
	}
	add("Processor", processor)
	if host.MemMB > 0 {
		add("Memory", megabytes.show(float64(host.MemMB)))
	}
	add("Kernel", host.Kernel)
	add("System", host.OS)
	if host.SrcFS != "" || host.DstFS != "" {
		add("Filesystems", fmt.Sprintf("source %s, mirrors %s", host.SrcFS, host.DstFS))
	}
	add("CPU time by", host.Accounting)
	add("Seed", strconv.FormatUint(run.Seed, 10))
	add("Repetitions", strconv.Itoa(run.Reps))
	if run.Scale != 0 {
		add("Scale", strconv.FormatFloat(run.Scale, 'g', -1, 64))
	}
	add("Command", command(run.Command))
	return all
}

// versions are those of the engines and programs, by name.
func (m *model) versions() []fact {
	var all []fact
	for _, name := range slices.Sorted(maps.Keys(m.run.Versions)) {
		all = append(all, fact{clean(name), clean(m.run.Versions[name])})
	}
	return all
}

// command is a line to type again; where its program lay does not matter.
func command(args []string) string {
	var words []string
	for i, a := range args {
		if i == 0 {
			a = path.Base(a)
		}
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]()<>|&;#~!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// abouts are sentences on engines that a reader may not know.
var abouts = []fact{
	{subject, "the subject of this report."},
	{"sersync2", "sersync 2, a program of 2011: one rsync for each event and mirror. It ignores names that begin with a dot."},
	{"lsyncd", "collects events and starts one rsync with a filter list. Its default is to wait 15 s; here it has delay=1, as users who want speed set it."},
	{"inotifywait", "the folk recipe inotifywait -m -r | rsync -a --delete: after any event everything is compared, one mirror after the other."},
	{plain, "a plain rsync -a --delete of the tree, started when the changes have ended. It does not mirror live and is shown for scale."},
	{ideal, "one rsync that is told exactly the changed paths, started when the changes have ended. No engine can know as much; it does not mirror live."},
}

func (m *model) abouts() []fact {
	var all []fact
	for _, e := range m.engines {
		if strings.HasPrefix(e, subject+"-") {
			all = append(all, fact{e, "another build of " + subject + "."})
		}
		for _, a := range abouts {
			if a.Name == e {
				all = append(all, a)
			}
		}
	}
	return all
}

// warnings say why this run is worth less than it looks.
func (m *model) warnings() []string {
	var all []string
	if m.run.Reps > 0 && m.run.Reps < fewReps {
		all = append(all, fmt.Sprintf("The run has %s of each cell, fewer than %d: the figures show an order of magnitude, and no difference is certain.",
			plural(m.run.Reps, "repetition"), fewReps))
	}
	missing, failed := 0, 0
	for _, g := range m.groups {
		for _, o := range g.outcomes {
			if o.count(record.Skipped) == 0 {
				missing += max(0, m.run.Reps-len(o.cells))
			}
			failed += o.count(record.Failed)
		}
	}
	if missing > 0 {
		all = append(all, fmt.Sprintf("The run is not complete: %s did not take place. Workloads that had not begun are not listed.", plural(missing, "cell")))
	}
	if failed > 0 {
		all = append(all, fmt.Sprintf("In %s the suite could not do its part; the notes in the last table say why. They count for no engine and against none.", plural(failed, "cell")))
	}
	return all
}

// reading says what the figures mean.
func (m *model) reading() []string {
	all := []string{
		"An engine whose mirror ended different from the source, or that crashed, at any repetition of a workload has no figures there: a fast wrong mirror is worth nothing. Trees are compared by content.",
		"Converged after: from the end of the changes to the last change at the last mirror that was waited for, by the mirror's own timestamps. Engines that work while changes are made can therefore be quicker than " + ideal + ", which starts when they have ended. Times below 10 ms are at the limit of those timestamps; they are shown as such, and ratios with them are bounds.",
		fmt.Sprintf("Figures are medians with the spread of the repetitions in brackets: minimum to maximum, quartiles from %d repetitions on.", manyReps),
		fmt.Sprintf("lsyncd/%s 4.1x means: lsyncd took 4.1 times as much as %s. It is the ratio of the medians; in brackets the spread of the ratios of each repetition of one to each of the other. A difference is called clear if %.0f %% of them lie on one side of 1 and each engine has at least %d repetitions.", subject, subject, agree*100, fewReps),
		"Engines took turns at each workload, with the same seeded changes. Mirrors are modules of rsync daemons on the loopback of the same machine: there is no network delay, and source, engine and daemons share its cores and disks.",
	}
	if slices.ContainsFunc(m.groups, func(g group) bool { return g.has(p50) }) {
		all = append(all, "Latency counts from the moment a change was due, not from when it was made, so that a writer who is held up hides nothing. Workloads that measure it are judged by its median.")
	}
	if m.run.Host.Accounting == "rusage" {
		all = append(all, "CPU time is that of processes that were waited for (rusage); a process that an engine leaves behind is missing.")
	}
	return all
}
