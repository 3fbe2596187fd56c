package component

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestAFirstBuildIsExpectedToLastAsReadmeSays(t *testing.T) {
	if have := Expect(Cluster(), 2); have < 15*time.Minute || have > 22*time.Minute {
		t.Errorf("%s, and README says about 20 minutes on two cores", have)
	}
	if one, eight, many := Expect(Cluster(), 1), Expect(Cluster(), 8), Expect(Cluster(), 64); one <= eight || eight != many {
		t.Errorf("%s on one core, %s on 8, %s on 64", one, eight, many)
	}
	if have := Expect(nil, 2); have != 0 {
		t.Errorf("%s for nothing", have)
	}
}

func TestAVersionIsGitsOrDev(t *testing.T) {
	dir := t.TempDir()
	if have := Version(context.Background(), dir); have != "dev" {
		t.Errorf("without Git: %s", have)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	git("init", "-q")
	git("add", "a")
	git("commit", "-qm", "a")
	git("tag", "v1.2.3")
	if have := Version(context.Background(), dir); have != "v1.2.3" {
		t.Errorf("at a tag: %s", have)
	}
	if err := os.WriteFile(file, []byte("b"), 0o644); err != nil {
		t.Fatal(err)
	}
	if have := Version(context.Background(), dir); have != "v1.2.3-dirty" {
		t.Errorf("with a change: %s", have)
	}
}
