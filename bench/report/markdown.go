package report

import (
	"fmt"
	"strings"

	"github.com/fansync/fansync/bench/record"
)

// markdown is the report as a GitHub-flavoured text; plots are the files beside
// it.
func (m *model) markdown(plots []plotFile) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	p("# %s compared\n", subject)
	for _, w := range m.warnings() {
		p("> **%s**\n", mdEscape(w))
	}
	for _, v := range m.verdicts() {
		p("- **%s** %s. %s", mdEscape(v.Figure), mdEscape(v.Title), mdEscape(v.Text))
	}
	p("\n## How to read it\n")
	for _, s := range m.reading() {
		p("- %s", mdEscape(s))
	}
	p("")
	for _, a := range m.abouts() {
		p("- **%s**: %s", mdEscape(a.Name), mdEscape(a.Value))
	}
	p("\n| run | |\n|---|---|")
	for _, f := range m.facts() {
		p("| %s | %s |", mdEscape(f.Name), mdEscape(f.Value))
	}
	for _, f := range m.versions() {
		p("| version of %s | %s |", mdEscape(f.Name), mdEscape(f.Value))
	}

	if len(m.groups) == 0 {
		return b.String()
	}
	p("\n## Who was right, and how soon\n")
	m.mdMatrix(&b)
	for _, f := range plots {
		if f.slug == "" {
			p("\n![%s](%s)", mdEscape(f.svg.title), f.name)
		}
	}
	for _, t := range tables {
		m.mdTable(&b, t)
	}
	p("\n## Workloads")
	for _, g := range m.groups {
		p("\n### %s\n", mdEscape(m.title(g)))
		if g.doc != "" {
			p("%s\n", mdEscape(g.doc))
		}
		if g.params != "" {
			p("Size: %s\n", mdEscape(g.params))
		}
		for _, o := range g.outcomes {
			notes, samples := o.remarks()
			for _, n := range notes {
				p("- %s: %s", mdEscape(o.engine), mdEscape(n))
			}
			if len(samples) > 0 {
				p("- %s %s, such as %s", mdEscape(o.engine), mdEscape(o.words()), mdEscape(strings.Join(samples[:min(3, len(samples))], "; ")))
			}
		}
		for _, f := range plots {
			if f.slug == g.slug {
				p("\n![%s](%s)", mdEscape(f.svg.title), f.name)
			}
		}
	}
	return b.String()
}

// mdMatrix is a row for each workload and a column for each engine.
func (m *model) mdMatrix(b *strings.Builder) {
	head, rule := "| workload |", "|---|"
	for _, e := range m.engines {
		head += " " + mdEscape(e) + " |"
		rule += "---|"
	}
	fmt.Fprintln(b, head)
	fmt.Fprintln(b, rule)
	for _, g := range m.groups {
		row := "| " + mdEscape(m.title(g)) + " |"
		for _, o := range g.outcomes {
			row += " " + mdEscape(matrixCell(g, o)) + " |"
		}
		fmt.Fprintln(b, row)
	}
}

// matrixCell is the time and what it is to the subject's, or the words.
func matrixCell(g group, o outcome) string {
	f, ok := o.figure(g.primary)
	if !ok {
		return o.words()
	}
	text := g.primary.unit.median(f)
	if r, ok := g.ratio(g.primary, o.engine, subject); ok && o.engine != subject {
		text += ", " + r.String()
	}
	return text
}

// mdTable has a row for each engine at each workload. Workloads in which no
// engine has the table's first measure are left out, if it is not the first
// table: that one also says who has no figures.
func (m *model) mdTable(b *strings.Builder, t table) {
	first := t.measures[0]
	to := m.references(first)
	var rows []string
	for _, g := range m.groups {
		if !g.has(first) && first.key != converge.key {
			continue
		}
		for i, o := range g.outcomes {
			name := ""
			if i == 0 {
				name = mdEscape(m.title(g))
			}
			row := fmt.Sprintf("| %s | %s |", name, mdEscape(o.engine))
			if !o.ok() {
				rows = append(rows, row+" "+mdEscape(o.words())+" |"+strings.Repeat(" |", len(t.measures)+len(to)-1))
				continue
			}
			for i, by := range t.measures {
				row += " " + mdFigure(o, by) + " |"
				if i == 0 {
					for _, r := range to {
						row += mdRatio(g, by, o.engine, r)
					}
				}
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| workload | engine |", t.title, mdEscape(t.note))
	for i, by := range t.measures {
		fmt.Fprintf(b, " %s |", mdEscape(by.title))
		if i == 0 {
			for _, r := range to {
				fmt.Fprintf(b, " to %s |", r)
			}
		}
	}
	fmt.Fprintf(b, "\n|---|---|%s\n%s\n", strings.Repeat("---|", len(t.measures)+len(to)), strings.Join(rows, "\n"))
}

func mdFigure(o outcome, by measure) string {
	f, ok := o.figure(by)
	if !ok {
		return "–"
	}
	text := mdEscape(by.unit.figure(f))
	if o.engine == subject {
		text = "**" + text + "**"
	}
	if n := o.count(record.Right); n < len(o.cells) {
		text += fmt.Sprintf(" %d of %d", n, len(o.cells))
	}
	return text
}

// mdRatio is a cell such as "lsyncd/fansync 4.1x".
func mdRatio(g group, by measure, a, b string) string {
	r, ok := g.ratio(by, a, b)
	if !ok || a == b {
		return " |"
	}
	return fmt.Sprintf(" %s/%s %s |", mdEscape(a), mdEscape(b), mdEscape(r.full()))
}

// mdEscape makes any text mean itself, also within a table's cell.
var mdEscape = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "#", `\#`, "!", `\!`,
	"@", "&#64;", "://", "&#58;//", "www.", "www&#46;",
).Replace
