// Package pace says how patient a test is. Tests have no sleeps, but they give up at some point, and on a machine that is
// emulated everything takes many times as long: what starts tests there says so in an environment variable.
//
// Invariant: on a usual machine, where the variable is not set, all times are as they are written.
//
//	ctx, cancel := context.WithTimeout(ctx, pace.Slow(20*time.Second))
package pace

import (
	"os"
	"strconv"
	"time"
)

// Slowness names the environment variable that says how many times slower than usual this machine is: an emulated one is.
const Slowness = "WEFT_TEST_SLOWNESS"

// Slow is how long something may take on this machine that may take d on a usual one. For what ought not to come at all a
// third of that is enough to wait: it would come as one packet, while what ought to come may be a whole start.
func Slow(d time.Duration) time.Duration { return d * time.Duration(slowness()) }

// Silence is how long to listen on this machine for what ought not to come.
func Silence(d time.Duration) time.Duration { return d * time.Duration(1+slowness()/3) }

// Fewer is how often to repeat on this machine what is repeated n times on a usual one.
func Fewer(n int) int { return max(1, n/slowness()) }

func slowness() int {
	n, err := strconv.Atoi(os.Getenv(Slowness))
	if err != nil || n < 1 {
		return 1
	}
	return n
}
