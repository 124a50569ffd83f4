// Package sersync reads the configuration of sersync 2.5, confxml.xml, and says
// what it means for fansync.
//
// In flow the bytes of a file; out flow a config.Config, which may be run or
// printed, and Notes: one for each setting that is ignored, that is unknown or
// that was dangerous, with what to do today.
//
//  1. xml.go reads as leniently as sersync does: the case of names, the order of
//     elements and the declared encoding do not matter, and bytes pass through.
//     What is no XML at all is an error with its line and column.
//  2. file.go finds the elements; what is missing has the value of the file that
//     sersync ships.
//  3. mapping.go, inotify.go, params.go and plugins.go make the configuration.
//
// Nothing is run, no file is opened but the ones that the file names for rsync's
// --exclude-from, and there is no shell: rsync's parameters are split into words
// and each word is judged.
//
// The package owns no goroutine.
package sersync
