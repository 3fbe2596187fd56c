package machine

import (
	"os"
	"strings"
	"testing"
)

func TestEveryPackageTheLabAsksForIsInstalledBySetup(t *testing.T) {
	b, err := os.ReadFile("../../../tools/setup")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for f := range strings.FieldsSeq(strings.ReplaceAll(string(b), `"`, " ")) {
		listed[f] = true
		listed[strings.TrimPrefix(f, "packages=")] = true
	}
	for _, p := range programs {
		if !listed[p.pkg] {
			t.Errorf("%s (for %s) is not in tools/setup", p.pkg, p.program)
		}
	}
	for _, f := range files {
		if !listed[f.pkg] {
			t.Errorf("%s (for %s) is not in tools/setup", f.pkg, f.path)
		}
	}
}

func TestADiskThatIsTooSmallIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := diskSpace(dir, 1<<62); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if err := diskSpace(dir, 1); err != nil {
		t.Error(err)
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	if err := PortsFree("127.0.0.1:0"); err != nil {
		t.Error(err)
	}
}
