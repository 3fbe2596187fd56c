package packet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/observe/ring"
)

var _ = declare("verdicts", opened(verdicts))

// verdicts tells how many verdicts policies have given since the script began: "ingress allow 3".
func verdicts(b *bench, ts *testscript.TestScript, _ []string) {
	given, err := ring.VerdictsOf(b.dp.Map("policy_verdicts"))()
	ts.Check(err)
	sums := map[string]uint64{}
	for key, n := range given {
		sums[strings.ToLower(fmt.Sprintf("%s %s", key.Direction, key.Verdict))] += n
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		_, err := fmt.Fprintf(ts.Stdout(), "%s %d\n", name, sums[name])
		ts.Check(err)
	}
}
