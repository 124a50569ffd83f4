// Package gate says whether a work tree costs more than the revision it comes
// from, BASE.
//
// In flow a checkout, the name of BASE and a Plan of what to measure; out flows
// a Report with Findings, one for each figure of a benchmark and each count. The
// flow, in the order of the files:
//
//  1. base.go finds BASE and checks it out beside the work tree.
//  2. build.go builds both: a test binary for each package with benchmarks, and
//     the program. What was built equal byte for byte costs the same, and is
//     not measured.
//  3. counts.go, daemon.go, fansync.go and strace.go count what real programs
//     do with a fixed load: the program, rsync and its daemon.
//  4. bench.go runs the benchmarks of both sides in turn.
//  5. judge.go, with signed.go, compares. It is pure, so that it can be tried
//     with made-up noise. What looks worse is measured a second time, and fails
//     only if it looks worse both times.
//  6. allow.go takes from the findings what was allowed on purpose.
//  7. report.go says what was found and what to do.
//
// Counted costs (allocations, system calls, processes, bytes) fail when they
// rise beyond a tolerance; times only when they are longer by more than 15 %
// with statistical certainty, for a shared machine with two cores is no clock.
// plan.go says what is measured how often.
//
// Everything that was started has ended, and the second checkout is gone, when
// Run returns, also when its context was cancelled. There are no goroutines but
// those that wait for a process.
package gate
