// Package repo holds the house rules of this repository as tests, so that
// `go test ./...` is the gate: formatting, vet and staticcheck, one package
// comment per package, short files, the allowed imports, no sleeping tests, no
// traces of one machine, the folders, and documentation whose links lead
// somewhere.
//
// In flows the source tree around this package; out flows nothing but failed
// tests. There is no code besides them, and no goroutine.
package repo
