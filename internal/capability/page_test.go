package capability_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// section is the text of a page below a heading, to the next one of its rank.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/%s has no section %s", page, heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// found gives what a pattern's group matches in the files of a folder that are not tests.
func found(t *testing.T, folder, ends string, pattern *regexp.Regexp) (list []string) {
	t.Helper()
	err := filepath.WalkDir("../../"+folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ends) || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range pattern.FindAllSubmatch(text, -1) {
			list = append(list, string(m[1]))
		}
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("nothing found in %s: %v", folder, err)
	}
	return list
}

func TestThePacketPageHasEveryDropReasonAndEveryMap(t *testing.T) {
	drops := section(t, "packet-path.md", "Drops")
	for _, number := range found(t, "internal/bpf/abi", "abi.go", regexp.MustCompile(`\tDrop\w+ +DropReason = ([1-9]\d*)`)) {
		if !strings.Contains(drops, "\n| "+number+" | ") {
			t.Errorf("programs drop for reason %s, and docs/packet-path.md does not say what it means", number)
		}
	}
	maps := section(t, "packet-path.md", "Maps")
	for _, name := range found(t, "bpf/lib/abi", ".h", regexp.MustCompile(`(?m)^MAP\(\w+, (\w+),`)) {
		if !strings.Contains(maps, "\n| `"+name+"` ") {
			t.Errorf("map %s is not in docs/packet-path.md", name)
		}
	}
}

func TestTheCompatibilityPageHasEveryMetric(t *testing.T) {
	page := section(t, "compatibility.md", "Metrics")
	for _, name := range found(t, "internal", ".go", regexp.MustCompile(`(?:NewDesc\(|Name: +)"((?:cilium|hubble|weft)_[a-z_]+)"`)) {
		if !strings.Contains(page, "`"+name) {
			t.Errorf("metric %s is not in docs/compatibility.md", name)
		}
	}
}
