package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/fansync/fansync/bench/record"
)

var (
	//go:embed report.html.tmpl
	pageText string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("report").Parse(pageText))
)

// page is what the template shows. All strings are clean but not escaped.
type page struct {
	CSS       template.CSS
	Subject   string
	Facts     []fact
	Versions  []fact
	Warnings  []string
	Verdicts  []verdict
	Engines   []engineView
	Matrix    []matrixRow
	Overview  template.HTML
	Workloads []workloadView
	Reading   []string
	Abouts    []fact
	Raw       grid
}

type engineView struct {
	Name    string
	Slot    int
	Subject bool
	Live    bool
}

type matrixRow struct {
	Title, Slug string
	Cells       []matrixView
}

// matrixView is one engine at one workload: its time and what stands below it,
// or words.
type matrixView struct {
	Engine           engineView
	Class            string // "ok", "wrong" or "none"
	Main, Ratio, Sub string
	Width            float64 // of a bar on a logarithmic scale, in percent
}

type workloadView struct {
	Title, Slug, Doc, Params string
	Tables                   []grid
	Plots                    []plotView
	Trouble                  []trouble
}

type plotView struct {
	SVG  template.HTML
	Wide bool // over all columns
}

// trouble is what else is to be said of an engine at a workload.
type trouble struct {
	Engine  engineView
	Words   string
	Notes   []string
	Samples []string
}

// grid is a table; Note stands above it.
type grid struct {
	Title, Note string
	Head        []string
	Rows        []gridRow
}

type gridRow struct {
	Engine engineView
	Class  string
	Words  string // instead of the cells
	Cells  []gridCell
}

// gridCell is a figure and its spread.
type gridCell struct{ Main, Sub string }

func (m *model) page(plots []plotFile) ([]byte, error) {
	v := page{
		CSS: template.CSS(pageCSS + plotCSS), Subject: subject,
		Facts: m.facts(), Versions: m.versions(), Warnings: m.warnings(), Verdicts: m.verdicts(),
		Matrix: m.matrix(), Reading: m.reading(), Abouts: m.abouts(), Raw: m.raw(),
	}
	for _, e := range m.engines {
		v.Engines = append(v.Engines, m.engineView(e))
	}
	for _, g := range m.groups {
		w := workloadView{Title: m.title(g), Slug: g.slug, Doc: g.doc, Params: g.params, Tables: m.grids(g), Trouble: m.troubles(g)}
		for _, f := range plots {
			if f.slug == g.slug {
				w.Plots = append(w.Plots, plotView{f.svg.inline(), f.wide})
			}
		}
		v.Workloads = append(v.Workloads, w)
	}
	for _, f := range plots {
		if f.slug == "" {
			v.Overview = f.svg.inline()
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	return b.Bytes(), nil
}

func (m *model) engineView(name string) engineView {
	return engineView{Name: name, Slot: m.slot(name), Subject: name == subject, Live: name != ideal && name != plain}
}

// class is how an outcome looks.
func (o outcome) class() string {
	switch {
	case o.ok():
		return "ok"
	case o.wrong():
		return "wrong"
	}
	return "none"
}

func (m *model) matrix() []matrixRow {
	var rows []matrixRow
	for _, g := range m.groups {
		row := matrixRow{Title: m.title(g), Slug: g.slug}
		for _, o := range g.outcomes {
			c := matrixView{Engine: m.engineView(o.engine), Class: o.class(), Main: o.words()}
			f, ok := o.figure(g.primary)
			if o.ok() && !ok {
				c.Class = "none"
			}
			if ok {
				c.Main = g.primary.unit.median(f)
				c.Width = g.width(f)
				if r, ok := g.ratio(g.primary, o.engine, subject); ok && o.engine != subject {
					c.Ratio = r.String()
				}
				if tail, ok := o.figure(p99); ok {
					c.Sub = "p99 " + p99.unit.median(tail)
					if never, _ := o.figure(lost); never.Hi > 0 {
						c.Sub += fmt.Sprintf(", up to %s never seen", count.show(never.Hi))
					}
				}
				if n := o.count(record.Right); n < len(o.cells) {
					c.Sub = strings.TrimPrefix(c.Sub+"; "+o.words(), "; ")
				}
			}
			row.Cells = append(row.Cells, c)
		}
		rows = append(rows, row)
	}
	return rows
}

// width places a figure between the least and the greatest of its group.
func (g group) width(f figure) float64 {
	lo, hi := math.Inf(1), 0.0
	for _, o := range g.outcomes {
		if f, ok := o.figure(g.primary); ok {
			v := max(f.Median, f.Floor)
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	const least = 6.0
	if lo <= 0 || hi <= lo {
		return least
	}
	share := math.Log(max(f.Median, f.Floor)/lo) / math.Log(hi/lo)
	return math.Round(least + (100-least)*share)
}

// grids are the tables of one workload.
func (m *model) grids(g group) []grid {
	main := grid{Title: "Figures", Head: []string{"engine", converge.title}}
	to := m.references(converge)
	for _, r := range to {
		main.Head = append(main.Head, "to "+r)
	}
	columns := []measure{total, ready, cpu, idle, peakRSS, daemonRSS, rsyncs, wire}
	var shown []measure
	for _, by := range columns {
		if g.has(by) {
			shown = append(shown, by)
			main.Head = append(main.Head, by.title)
		}
	}
	late := grid{Title: latencyTable.title, Note: latencyTable.note, Head: []string{"engine", p50.title}}
	lateTo := m.references(p50)
	for _, r := range lateTo {
		late.Head = append(late.Head, "to "+r)
	}
	for _, by := range latencyTable.measures[1:] {
		late.Head = append(late.Head, by.title)
	}
	for _, o := range g.outcomes {
		row := gridRow{Engine: m.engineView(o.engine), Class: o.class()}
		if !o.ok() {
			row.Words = o.words()
			main.Rows = append(main.Rows, row)
			continue
		}
		row.Cells = []gridCell{view(o, converge)}
		for _, r := range to {
			row.Cells = append(row.Cells, g.ratioView(converge, o.engine, r))
		}
		for _, by := range shown {
			row.Cells = append(row.Cells, view(o, by))
		}
		main.Rows = append(main.Rows, row)
		if _, ok := o.figure(p50); ok {
			row.Cells = []gridCell{view(o, p50)}
			for _, r := range lateTo {
				row.Cells = append(row.Cells, g.ratioView(p50, o.engine, r))
			}
			for _, by := range latencyTable.measures[1:] {
				row.Cells = append(row.Cells, view(o, by))
			}
			late.Rows = append(late.Rows, row)
		}
	}
	if len(late.Rows) == 0 {
		return []grid{main}
	}
	return []grid{main, late}
}

func view(o outcome, by measure) gridCell {
	f, ok := o.figure(by)
	if !ok {
		return gridCell{Main: "–"}
	}
	return gridCell{by.unit.median(f), by.unit.spread(f)}
}

func (g group) ratioView(by measure, a, b string) gridCell {
	r, ok := g.ratio(by, a, b)
	if !ok || a == b {
		return gridCell{}
	}
	return gridCell{r.String(), r.more()}
}

func (m *model) troubles(g group) []trouble {
	var all []trouble
	for _, o := range g.outcomes {
		notes, samples := o.remarks()
		if len(notes)+len(samples) > 0 {
			all = append(all, trouble{m.engineView(o.engine), o.words(), notes, samples})
		}
	}
	return all
}

// raw is every cell. Those that were not right have no figures here either.
func (m *model) raw() grid {
	columns := []measure{load, converge, total, ready, cpu, idle, peakRSS, daemonRSS, rsyncs, wire, p50, p99}
	t := grid{Head: []string{"engine", "workload", "params", "rep", "seed", "verdict"}}
	for _, by := range columns {
		t.Head = append(t.Head, by.title)
	}
	t.Head = append(t.Head, "note")
	for _, c := range m.cells {
		one := outcome{engine: c.Engine, cells: []record.Cell{c}, verdict: c.Verdict}
		row := gridRow{Engine: m.engineView(c.Engine), Class: one.class()}
		words := one.words()
		if one.ok() {
			words, one.right = "right", one.cells
		}
		row.Cells = []gridCell{{Main: c.Workload}, {Main: c.Params}, {Main: strconv.Itoa(c.Rep + 1)}, {Main: strconv.FormatUint(c.Seed, 10)}, {Main: words}}
		for _, by := range columns {
			row.Cells = append(row.Cells, view(one, by))
		}
		row.Cells = append(row.Cells, gridCell{Main: c.Note})
		t.Rows = append(t.Rows, row)
	}
	return t
}
