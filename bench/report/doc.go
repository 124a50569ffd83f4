// Package report tells a person what a run of the suite found.
//
// In: a Run and its Cells, and a sentence for each workload. Out: report.md,
// report.html, which needs no other file, and the plots as SVG files.
//
// The cells are grouped by workload (group), each group has one outcome for
// each engine, and an outcome has figures only if no mirror of it was wrong and
// no engine crashed: everything that is printed goes through outcome.figure,
// so that no text, table or plot can show a time of a wrong mirror. Sentences
// are made from the figures; none says what the figures do not.
//
// Names in a record may be anything. They pass clean as they enter, which
// leaves no control characters; the writers escape for their own format.
package report
