package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/pelletier/go-toml/v2"
)

// errNotText says that a value cannot be written.
var errNotText = errors.New("a path, pattern or name in it is one that TOML cannot hold, because it is not UTF-8")

// Encode writes the configuration as a TOML file that Decode reads back to the
// same. What has its default is left out if the field is zero.
func (c Config) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("write TOML: %w", err)
	}
	back, err := Decode("the file", b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("write TOML: %w", err)
	}
	back.source, c.source = nil, nil
	if !reflect.DeepEqual(back, c) {
		return nil, fmt.Errorf("write TOML: %w", errNotText)
	}
	return b.Bytes(), nil
}
