// Package config reads the configuration file.
//
// In flows a TOML file, or the bytes of one; out flows a Config, or an error
// with one line for each problem: FILE:LINE:COL, the key, and what to do.
// Decoding is strict: a key that is not known is an error, so that a typo
// never leaves a root without its guard or its filters.
//
// Decode only reads. WithDefaults fills in what was left out, Validate checks
// what the program cannot work with. Whether a destination or an option of
// rsync makes sense is the transport's knowledge and comes in as a Checker.
// That a root exists is not asked: it may be mounted later, and the guard
// watches over it.
//
// The package owns no goroutine, and a Config is a plain value.
package config
