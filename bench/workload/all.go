package workload

import (
	"fmt"
	"strings"
)

// All are the workloads in the order of the reports.
func All() []Workload {
	return []Workload{
		latency{},
		burst{name: "burst", remotes: 1},
		churn{},
		saves{},
		remove{},
		rename{name: "rename10k", files: 10_000, dirs: 1, bytes: 512},
		rename{name: "rename100k", files: 100_000, dirs: 100, bytes: 512},
		rename{name: "rename1g", files: 100_000, dirs: 1_000, bytes: 10_240},
		mkdirs{},
		source{},
		bigfile{},
		appends{},
		samesecond{},
		mix{rate: 400},
		burst{name: "fan1", remotes: 1},
		burst{name: "fan4", remotes: 4},
		burst{name: "fan16", remotes: 16},
		burst{name: "slow", remotes: 4, slow: 1},
		burst{name: "dead", remotes: 4, dead: 1},
		idle{name: "idle100k", files: 100_000, dirs: 1_000},
		idle{name: "idle1m", files: 1_000_000, dirs: 10_000},
		idle{name: "dirs100k", dirs: 100_000},
	}
}

// ByName finds one workload. The error lists the names there are.
func ByName(name string) (Workload, error) {
	var names []string
	for _, w := range All() {
		if w.Name() == name {
			return w, nil
		}
		names = append(names, w.Name())
	}
	return nil, fmt.Errorf("no workload is called %q: take one of %s", name, strings.Join(names, ", "))
}

// notLive are the engines that are told to mirror after the changes, with the
// reason why a workload of latencies skips them.
func notLive() map[string]string {
	const reason = "it mirrors after the changes, so that a change has no latency of its own"
	return map[string]string{"ideal": reason, "rsync": reason}
}
