package install

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func install(t *testing.T, dir string, plugins map[string]string) {
	t.Helper()
	if err := CopyPlugins(dir, plugins); err != nil {
		t.Fatal(err)
	}
}

func TestAPluginOfOthersComesBackAfterSeveralVersionsOfOurs(t *testing.T) {
	image, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "portmap"), "theirs")
	for _, version := range []string{"one", "two", "two"} {
		ours := write(t, filepath.Join(image, "plugin"), version)
		install(t, dir, map[string]string{"portmap": ours, "weft-cni": ours})
		if got := read(t, filepath.Join(dir, "portmap")); got != version {
			t.Fatalf("version %s is not in place: %s", version, got)
		}
	}
	for range 2 {
		if _, err := RemovePlugins(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, filepath.Join(dir, "portmap")) + read(t, filepath.Join(dir, "weft-cni")); got != "theirs-" {
		t.Errorf("portmap and weft-cni are %s", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAPluginThatAnotherProgramHasPutInPlaceOfOursStays(t *testing.T) {
	image, dir := t.TempDir(), t.TempDir()
	ours := write(t, filepath.Join(image, "plugin"), "ours")
	install(t, dir, map[string]string{"loopback": ours})
	write(t, filepath.Join(dir, "loopback"), "newer than ours")
	if _, err := RemovePlugins(dir); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "loopback")); got != "newer than ours" {
		t.Errorf("loopback is %s", got)
	}
}

func TestAnInstallationThatWasCutShortIsKnownToBeOurs(t *testing.T) {
	image, dir := t.TempDir(), t.TempDir()
	ours := write(t, filepath.Join(image, "plugin"), "ours")
	install(t, dir, map[string]string{"loopback": ours})
	// The manifest names the next version before that is in place.
	digests, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := write(t, filepath.Join(image, "next"), "next")
	digest, err := digestOf(next)
	if err != nil {
		t.Fatal(err)
	}
	digests["loopback"] = append(digests["loopback"], digest)
	if err := writeManifest(dir, digests); err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{"ours", "next"} {
		write(t, filepath.Join(dir, "loopback"), there)
		install(t, dir, map[string]string{"loopback": next})
		if _, err := os.Stat(filepath.Join(dir, keptFolder)); !os.IsNotExist(err) {
			t.Errorf("%s was kept as if it were another program's", there)
		}
	}
}
