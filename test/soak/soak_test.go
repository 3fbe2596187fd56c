package main

import (
	"os"
	"testing"

	"weftnet.io/weftnet/internal/nettest/process"
)

func TestMain(m *testing.M) {
	process.Main()
	os.Exit(m.Run())
}

// short is how many rounds make a test of a soak.
// Churn has no rounds, and is for `make soak`.
var short = map[string]int{"restart": 3, "kill": 8, "mode": 1}

func TestSoaks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	for _, s := range soaks {
		if short[s.name] == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if err := s.run(t.Context(), 1, short[s.name], 0, t.Output()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
