//go:build race

package scheduler

// raceDetector says that the race detector is on, which makes all slower.
const raceDetector = true
