package v1

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyRootMayOpenTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "weft.sock")
	for range 2 { // the second takes the place of what the first has left
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		l.Close()
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}
