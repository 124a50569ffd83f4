package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads the file and decodes it. It neither fills in defaults nor
// validates.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data)
}

// Decode decodes the bytes of a file; name stands for it in errors.
func Decode(name string, data []byte) (Config, error) {
	if IsXML(data) {
		return Config{}, fmt.Errorf("%s:1:1: this is XML; here TOML is read (see docs/configuration.md)", name)
	}
	src, form := locate(name, data)
	var c Config
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&c)
	var missing *toml.StrictMissingError
	var de *toml.DecodeError
	switch {
	case errors.As(err, &missing):
		var unknown []error
		for i := range missing.Errors {
			e := &missing.Errors[i]
			unknown = append(unknown, at(name, e, fmt.Sprintf(
				"unknown key %q; correct its name or remove it", strings.Join(e.Key(), "."))))
		}
		return Config{}, errors.Join(append(unknown, form...)...)
	case errors.As(err, &de):
		return Config{}, errors.Join(append([]error{at(name, de, message(de))}, form...)...)
	case len(form) > 0:
		return Config{}, errors.Join(form...)
	case err != nil:
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	c.source = src
	return c, nil
}

// IsXML reports whether the bytes are a sersync file's, not TOML.
func IsXML(data []byte) bool {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return bytes.HasPrefix(bytes.TrimSpace(data), []byte("<"))
}

func at(name string, e *toml.DecodeError, text string) error {
	line, column := e.Position()
	return fmt.Errorf("%s:%d:%d: %s", name, line, column, text)
}

var wrongType = regexp.MustCompile(`^cannot decode TOML (.+) into struct field \S+ of type (.+)$`)

// typeNames say what a field wants, by its Go type.
var typeNames = map[string]string{
	"string":          "a string",
	"[]string":        "a list of strings",
	"int":             "a whole number",
	"float64":         "a number",
	"config.Duration": wantDuration,
	"config.Guard":    "a table",
	"bool":            "true or false",
	"[]config.Plugin": "[[plugin]] tables",
	"[]config.Root":   "[[root]] tables",
	"[]config.Remote": "[[root.remote]] tables",
}

const wantDuration = `a duration such as "10s"`

// message is the decoder's complaint in the words of the file, not of the
// program's types.
func message(e *toml.DecodeError) string {
	text := strings.TrimPrefix(e.Error(), "toml: ")
	if m := wrongType.FindStringSubmatch(text); m != nil {
		want, ok := typeNames[m[2]]
		if !ok {
			want = m[2]
		}
		text = fmt.Sprintf("wants %s, not %s", want, article(m[1]))
	}
	if len(e.Key()) == 0 {
		return text
	}
	return fmt.Sprintf("key %q: %s", strings.Join(e.Key(), "."), text)
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
