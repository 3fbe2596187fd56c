package main

import (
	"os"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/nettest/claim"
	"weftnet.io/weftnet/internal/nettest/follow"
	"weftnet.io/weftnet/internal/nettest/process"
)

func TestMain(m *testing.M) {
	process.Main()
	follow.Main()
	claim.Main()
	os.Exit(m.Run())
}

// short is how many rounds make a test of a soak, and how long one without rounds lasts.
var (
	short = map[string]int{"restart": 3, "kill": 8, "mode": 1, "upgrade": 2}
	brisk = map[string]time.Duration{"churn": 20 * time.Second, "claims": 5 * time.Second}
)

func TestSoaks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	for _, s := range soaks {
		t.Run(s.name, func(t *testing.T) {
			if err := s.run(t.Context(), 1, short[s.name], brisk[s.name], "", "", t.Output()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
