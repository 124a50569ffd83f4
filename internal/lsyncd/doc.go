// Package lsyncd reads a simple lsyncd.conf.lua and says what it means for
// fansync.
//
// In flow the bytes of a file; out flow a config.Config to be printed and one
// note for each thing that is different. The file is parsed, never executed:
// what is taken are settings{} and sync{} with default.rsync, default.rsyncssh or
// default.direct, and values written out: strings, numbers, booleans, tables of
// them, names given to such values before, and their concatenation by "..". All
// else is code, and refused with its line.
//
//  1. values.go walks the syntax tree and gives the calls with their values.
//  2. mapping.go makes roots and remotes of them, options.go rsync's options.
//
// The package owns no goroutine.
package lsyncd
