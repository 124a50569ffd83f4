package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/sersync"
)

// loaded is a configuration and what is to be said of its file.
type loaded struct {
	config.Config
	// notes are one line each.
	notes []string
}

// load reads a configuration file of either kind; its content decides.
func load(file string) (loaded, error) {
	if file == "" {
		return loaded{}, usageError{errors.New("name a configuration file with -c")}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return loaded{}, usageError{fmt.Errorf("read configuration: %w", err)}
	}
	if config.IsXML(data) {
		return loadSersync(file, data, sersync.Options{})
	}
	conf, err := config.Decode(file, data)
	if err != nil {
		return loaded{}, usageError{err}
	}
	return loaded{Config: conf}, nil
}

// loadSersync reads the bytes of a confxml.xml.
func loadSersync(file string, data []byte, opts sersync.Options) (loaded, error) {
	res, err := sersync.Decode(file, data, opts)
	if err != nil {
		return loaded{}, usageError{err}
	}
	out := loaded{Config: res.Config}
	for _, n := range res.Notes {
		out.notes = append(out.notes, n.String())
	}
	return out, nil
}
