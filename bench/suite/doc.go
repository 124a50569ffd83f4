// Package suite plans and runs the comparison: every engine at every workload,
// several times, interleaved, each in fresh directories with fresh remotes.
//
// In flow engines and workloads, out flow records, one as each cell ends. All
// that a cell starts has ended when the next one begins, also if ctx ends in
// between. A figure counts only if the mirrors were right in the end.
package suite
