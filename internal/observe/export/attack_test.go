package export

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// The folder of an exporter is often read, and owned, by one who collects logs. The agent that writes there is root.
func TestNoLinkIsFollowedAndNoPipeWaitedFor(t *testing.T) {
	for what, put := range map[string]func(path, other string) error{
		"a link":             func(path, other string) error { return os.Symlink(other, path) },
		"a link to nothing":  func(path, other string) error { return os.Symlink(other+".new", path) },
		"a pipe":             func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder":           func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"a link to a device": func(path, _ string) error { return os.Symlink("/dev/null", path) },
	} {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "flows.json"), filepath.Join(dir, "shadow")
		if err := os.WriteFile(other, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := put(path, other); err != nil {
			t.Fatal(err)
		}
		if _, err := newWriter(File{Path: path}); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: have %v", what, err)
		}
		// It comes while flows are written.
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		w, err := newWriter(File{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := put(path, other); err != nil {
			t.Fatal(err)
		}
		lost := &flowpb.LostEvent{NumEventsLost: 1}
		if err := w.take(nil, lost, func() string { return "n1" }); err == nil {
			t.Errorf("%s, put in its place: it is written to", what)
		}
		w.out.Close()
		if text, err := os.ReadFile(other); err != nil || string(text) != "secret" {
			t.Errorf("%s: another file is %q, %v", what, text, err)
		}
		if _, err := os.Stat(other + ".new"); err == nil {
			t.Errorf("%s: another file is made", what)
		}
	}
}
