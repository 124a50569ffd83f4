package links

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/fansync/fansync/coalesce"
)

// TestWalkWhileTheTreeChanges: what comes and goes during a walk costs nothing
// that stays.
func TestWalkWhileTheTreeChanges(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a")
		for i := range 40 {
			plant(t, root, fmt.Sprintf("d%02d/sub/stays=a", i), fmt.Sprintf("d%02d/other", i))
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				churn := fmt.Sprintf("%s/churn%d", root, i%5)
				os.MkdirAll(churn+"/x/y", 0o755)
				os.Link(root+"/a", churn+"/x/y/z")
				os.Rename(churn, churn+"moved")
				os.RemoveAll(churn + "moved")
			}
		})
		defer wg.Wait()
		defer close(stop)
		for range 20 {
			x := New(Config{Root: root})
			out, err := x.Expand([]coalesce.Entry{changed("a", content)})
			must(t, err)
			told := map[string]bool{}
			for _, e := range out {
				told[e.Path] = true
			}
			for i := range 40 {
				if path := fmt.Sprintf("d%02d/sub/stays", i); !told[path] {
					t.Errorf("%s is not told", path)
				}
			}
			if x.Stats().Incomplete {
				t.Error("something could not be read")
			}
		}
	})
}
