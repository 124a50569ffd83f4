package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fansync/fansync/bench/record"
)

// plotFile is a picture and where it goes.
type plotFile struct {
	name string // of the file
	slug string // of the group; "" for all
	wide bool
	svg  picture
}

const latencyKey = "latency"

// Write makes report.md, report.html and the plots of a run in dir, which it
// makes if it is not there. Files of the same names are replaced. docs has a
// sentence for a workload by its name; those it does not have go without.
func Write(dir string, run record.Run, cells []record.Cell, docs map[string]string) error {
	m := newModel(run, cells, docs)
	plots, err := m.plots()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page, err := m.page(plots)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	put := func(name string, text []byte) error { return os.WriteFile(filepath.Join(dir, name), text, 0o644) }
	errs := []error{put("report.md", []byte(m.markdown(plots))), put("report.html", page)}
	for _, f := range plots {
		errs = append(errs, put(f.name, f.svg.file()))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// plots draws everything: the overview, and for each group the
// latency, the time and the costs.
func (m *model) plots() ([]plotFile, error) {
	var all []plotFile
	add := func(slug, key string) func(picture, bool, error) error {
		return func(p picture, ok bool, err error) error {
			name := key
			if slug != "" {
				name += "-" + slug
			}
			if ok {
				all = append(all, plotFile{name + ".svg", slug, key == latencyKey, p})
			}
			return err
		}
	}
	if err := add("", "overview")(m.overview()); err != nil {
		return nil, err
	}
	for _, g := range m.groups {
		err := errors.Join(
			add(g.slug, latencyKey)(m.cdf(g)),
			add(g.slug, converge.key)(m.bars(g, converge, true)),
			add(g.slug, cpu.key)(m.bars(g, cpu, false)),
			add(g.slug, peakRSS.key)(m.bars(g, peakRSS, false)),
			add(g.slug, rsyncs.key)(m.bars(g, rsyncs, false)),
		)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
