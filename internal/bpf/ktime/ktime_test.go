package ktime

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOffsetsAreReadAsTheKernelPrintsThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"monotonic           0         0\nboottime            0         0\n": 0,
		"monotonic      864000         5\nboottime            7         0\n": 864000*time.Second + 5,
		"monotonic         -10 500000000\nboottime            0         0\n": -9500 * time.Millisecond,
		"boottime            3         0\n":                                  0,
		"":                                                                   0,
		"something else\n":                                                   0,
	} {
		if have := offsetIn(text); have != want {
			t.Errorf("%q: %v, want %v", text, have, want)
		}
	}
}

// A process in a time namespace reads the clock as those outside do.
func TestATimeNamespaceDoesNotMoveIt(t *testing.T) {
	if os.Getenv("KTIME_CHILD") != "" {
		os.Stdout.WriteString(strconv.FormatInt(Now(), 10) + "\n")
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a time namespace")
	}
	before := Now()
	child := exec.Command("unshare", "--time", "--monotonic=864000", os.Args[0], "-test.run", t.Name())
	child.Env = append(os.Environ(), "KTIME_CHILD=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("unshare: %v: %s", err, out)
	}
	inside, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if after := Now(); inside < before || inside > after {
		t.Errorf("%d before, %d inside, %d after", before, inside, after)
	}
}
