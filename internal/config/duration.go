package config

import (
	"fmt"
	"time"
)

// Duration is a time.Duration written as "10s", "1m30s" or "500ms".
type Duration time.Duration

// UnmarshalText reads a number with a unit, or several.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a duration; write a number with a unit, such as "10s", "1m30s" or "500ms"`, text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the duration as time.Duration writes it.
func (d Duration) String() string { return time.Duration(d).String() }
