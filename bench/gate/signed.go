package gate

import (
	"cmp"
	"math"
	"slices"
)

// signedRank is Wilcoxon's signed-rank test: the chance that differences of
// pairs lie as far to one side of zero, or further, if they are as likely to be
// positive as negative. It is exact, ties included; zeros are left out.
//
// The sides' times are taken in turns, so that a load that comes and goes meets
// both of a pair. The unpaired test takes it for noise; this one does not.
func signedRank(differences []float64) float64 {
	d := slices.DeleteFunc(slices.Clone(differences), func(v float64) bool { return v == 0 })
	slices.SortFunc(d, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	// Twice the ranks, so that the mean rank of ties is a whole number.
	ranks := make([]int, len(d))
	total, positive := 0, 0
	for i := 0; i < len(d); {
		j := i
		for j < len(d) && math.Abs(d[j]) == math.Abs(d[i]) {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = i + 1 + j
			total += ranks[k]
			if d[k] > 0 {
				positive += ranks[k]
			}
		}
		i = j
	}
	// chance[s] is that of the positive ranks adding up to s.
	chance := make([]float64, total+1)
	chance[0] = 1
	for _, r := range ranks {
		for s := total; s >= 0; s-- {
			chance[s] /= 2
			if s >= r {
				chance[s] += chance[s-r] / 2
			}
		}
	}
	tail := 0.0
	for s := 0; s <= min(positive, total-positive); s++ {
		tail += chance[s]
	}
	return min(1, 2*tail)
}
