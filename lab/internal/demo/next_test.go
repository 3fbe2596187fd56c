package demo

import (
	"strings"
	"testing"
)

func TestWhatComesNextIsFiveLinesThatFitAScreen(t *testing.T) {
	var out strings.Builder
	Next(&out, "/lab/bin")
	text := out.String()
	if n := strings.Count(text, "\n  on weft "); n != 5 || !strings.Contains(text, "export PATH=$PATH:/lab/bin\n") {
		t.Errorf("%d lines with commands in\n%s", n, text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 130 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}
