package net

import (
	"os"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/scripttest"
)

// A script's own stop ends it, as passed, and its own kill is for background programs: neither is about agents.
func TestNoScriptEndsBeforeItsEnd(t *testing.T) {
	scripts, err := scripttest.Scripts(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines, _, _ := strings.Cut(string(text), "\n-- ")
		for i, line := range strings.Split(lines, "\n") {
			if word, _, _ := strings.Cut(strings.TrimPrefix(line, "! "), " "); word == "stop" || word == "kill" || word == "skip" {
				t.Errorf("%s:%d: %s is the script's own: an agent quits or crashes", name, i+1, word)
			}
		}
	}
}
